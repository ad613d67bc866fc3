select
    usage_date,
    provisional,
    grouping,
    row_count,
    amount_usd,
    amount_usd <> 0 or exists (
        select
        from openai_costs.cost_rows as cost
        where
            cost.organization = day.organization
            and cost.usage_date = day.usage_date
            and cost.currency is distinct from 'usd'
            and cost.amount <> 0
    ) as is_billed
from openai_costs.cost_days as day
where organization = %(organization)s and usage_date between %(first)s and %(last)s
