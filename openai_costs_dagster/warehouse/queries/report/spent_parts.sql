-- Costs and quantities of two ranges of days by line item, in US dollars.
select
    cost.organization,
    coalesce(nullif(cost.project_id, ''), '(none)') as project,
    coalesce(item.model, item.category, cost.line_item, '(none)') as model,
    coalesce(cost.line_item, '(none)') as line_item,
    coalesce(item.subcategory, item.category, cost.line_item, '(none)') as kind,
    cost.quantity_unit,
    coalesce(sum(cost.amount) filter (where cost.usage_date >= %(first)s), 0) as amount,
    coalesce(sum(cost.amount) filter (where cost.usage_date <= %(earlier_last)s), 0) as earlier_amount,
    sum(cost.quantity) filter (where cost.usage_date >= %(first)s) as quantity,
    sum(cost.quantity) filter (where cost.usage_date <= %(earlier_last)s) as earlier_quantity
from openai_costs.cost_rows as cost
left join openai_costs.line_items as item using (line_item)
where
    cost.organization = any(%(organizations)s)
    and (
        cost.usage_date between %(first)s and %(last)s
        or cost.usage_date between %(earlier_first)s and %(earlier_last)s
    )
    and cost.currency = 'usd'
    and cost.amount is not null
group by 1, 2, 3, 4, 5, 6
