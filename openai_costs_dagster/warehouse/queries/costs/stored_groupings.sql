-- Gaps and islands: consecutive days with the same grouping have the same difference of the two row numbers.
select grouping, min(usage_date) as first_day, max(usage_date) as last_day
from (
    select
        grouping,
        usage_date,
        row_number() over (order by usage_date) - row_number() over (partition by grouping order by usage_date) as island
    from openai_costs.cost_days
    where organization = %(organization)s
) as day
group by grouping, island
order by first_day
