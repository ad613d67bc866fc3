-- Costs in US dollars by day and all filters of the report. Costs without a model use the name of the tool.
select
    cost.organization,
    cost.usage_date,
    cost.project_id,
    cost.service,
    coalesce(cost.model, item.category, cost.line_item) as model,
    cost.user_id,
    cost.api_key_id,
    sum(cost.amount) as amount
from openai_costs.allocated_costs as cost
left join openai_costs.line_items as item using (line_item)
where
    cost.organization = any(%(organizations)s)
    and cost.usage_date between %(first)s and %(last)s
    and cost.currency = 'usd'
    and cost.amount is not null
group by
    cost.organization, cost.usage_date, cost.project_id, cost.service, coalesce(cost.model, item.category, cost.line_item),
    cost.user_id, cost.api_key_id
