-- Organizations for which a day was not fetched after its end.
select wanted.organization
from unnest(%(organizations)s::text[]) as wanted (organization)
where not exists (
    select
    from openai_costs.cost_days as day
    where
        day.organization = wanted.organization
        and day.usage_date = %(day)s
        and day.fetched_at >= (%(day)s::date + 1)::timestamp at time zone 'UTC'
)
order by 1
