-- Spend of a series by line item, in US dollars, with quantities.
select
    cost.usage_date,
    coalesce(nullif(cost.project_id, ''), '(none)') as project,
    coalesce(item.model, item.category, cost.line_item, '(none)') as model,
    coalesce(nullif(cost.api_key_id, ''), '(none)') as api_key,
    coalesce(cost.line_item, '(none)') as line_item,
    coalesce(item.subcategory, item.category, cost.line_item, '(none)') as kind,
    cost.quantity_unit,
    sum(cost.amount) as amount,
    sum(cost.quantity) as quantity
from openai_costs.cost_rows as cost
left join openai_costs.line_items as item using (line_item)
where
    cost.organization = %(organization)s
    and cost.usage_date = any(%(days)s::date[])
    and cost.currency = 'usd'
    and cost.amount is not null
    and (%(project)s = '' or coalesce(nullif(cost.project_id, ''), '(none)') = %(project)s)
    and (%(model)s = '' or coalesce(item.model, item.category, cost.line_item, '(none)') = %(model)s)
    and (%(service)s = '' or coalesce(item.service, cost.line_item, '(none)') = %(service)s)
    and (%(api_key)s = '' or coalesce(nullif(cost.api_key_id, ''), '(none)') = %(api_key)s)
group by 1, 2, 3, 4, 5, 6, 7
order by 1, 2, 3, 4, 5, 6, 7
