select expected.usage_date::date
from generate_series(%(first)s::date, %(last)s::date, interval '1 day') as expected (usage_date)
where not exists (
    select
    from openai_costs.cost_days as day
    where day.organization = %(organization)s and day.usage_date = expected.usage_date::date
)
order by 1
