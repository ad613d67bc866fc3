-- Spend in US dollars by day at every monitored level. Rows without an API key belong to the series "(none)".
select
    usage_date,
    case when grouping(project) = 0 then project else '' end as project,
    case when grouping(model) = 0 then model else '' end as model,
    case when grouping(service) = 0 then service else '' end as service,
    case when grouping(api_key) = 0 then api_key else '' end as api_key,
    sum(amount) as amount
from (
    select
        cost.usage_date,
        coalesce(nullif(cost.project_id, ''), '(none)') as project,
        coalesce(item.model, item.category, cost.line_item, '(none)') as model,
        coalesce(item.service, cost.line_item, '(none)') as service,
        coalesce(nullif(cost.api_key_id, ''), '(none)') as api_key,
        cost.amount
    from openai_costs.cost_rows as cost
    left join openai_costs.line_items as item using (line_item)
    where
        cost.organization = %(organization)s
        and cost.usage_date between %(first)s and %(last)s
        and cost.currency = 'usd'
        and cost.amount is not null
) as priced
group by grouping sets (
    (usage_date),
    (usage_date, project),
    (usage_date, model),
    (usage_date, service),
    (usage_date, project, model),
    (usage_date, project, api_key)
)
