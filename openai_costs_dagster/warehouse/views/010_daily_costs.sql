-- A cost row as fine as the API bills that day.
create or replace view openai_costs.daily_costs as
select
    cost.organization,
    cost.usage_date,
    cost.project_id,
    project.project_name,
    cost.line_item,
    coalesce(item.service, 'Unlabelled') as service,
    coalesce(item.category, 'Unlabelled') as category,
    item.subcategory,
    item.model,
    cost.api_key_id,
    cost.user_id,
    cost.amount,
    cost.currency,
    cost.quantity,
    cost.quantity_unit,
    cost.amount / nullif(cost.quantity, 0) as unit_price,
    day.grouping,
    day.provisional,
    day.fetched_at,
    item.surface,
    item.modality,
    item.long_context
from openai_costs.cost_rows as cost
join openai_costs.cost_days as day using (organization, usage_date)
left join openai_costs.line_items as item using (line_item)
left join openai_costs.projects as project using (organization, project_id);
