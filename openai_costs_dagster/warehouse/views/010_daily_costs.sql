-- Costs at the finest grouping that OpenAI serves for the day.
create or replace view openai_costs.daily_costs as
select
    cost.organization,
    cost.usage_date,
    cost.project_id,
    -- Ids of more than 500 characters are not stored in `projects`.
    coalesce(
        project.project_name,
        case
            when length(cost.project_id) > 500 then (
                select known.name
                from openai_costs.directory_names as known
                where
                    known.organization = cost.organization
                    and known.kind = 'project'
                    and openai_costs.text_key(known.id) = openai_costs.text_key(cost.project_id)
                order by known.last_seen_at desc
                limit 1
            )
        end
    ) as project_name,
    cost.line_item,
    -- Labels of more than 500 characters are not stored in `line_items`; the label itself is the service.
    coalesce(item.service, case when length(cost.line_item) > 500 then cost.line_item end, 'Unlabelled') as service,
    coalesce(item.category, case when length(cost.line_item) > 500 then cost.line_item end, 'Unlabelled') as category,
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
