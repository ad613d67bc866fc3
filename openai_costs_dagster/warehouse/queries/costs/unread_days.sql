-- The days of a range that were not fetched after their end.
select expected.usage_date::date
from generate_series(%(first)s::date, %(last)s::date, interval '1 day') as expected (usage_date)
where not exists (
    select
    from openai_costs.cost_days as day
    where
        day.organization = %(organization)s
        and day.usage_date = expected.usage_date::date
        and day.fetched_at >= (expected.usage_date::date + 1)::timestamp at time zone 'UTC'
)
order by 1
