-- Costs by user and line item, on days whose costs name no users. OpenAI returns these totals separately. They describe
-- the same costs as daily_costs and allocated_costs, so the views must not be added.
create or replace view openai_costs.user_totals as
with people as materialized (
    select
        organization,
        id,
        (array_agg(name order by last_seen_at desc) filter (where name is not null))[1] as name,
        (array_agg(email order by last_seen_at desc) filter (where email is not null))[1] as email
    from openai_costs.directory_names
    where kind = 'user'
    group by organization, id
)
select
    total.organization,
    total.usage_date,
    total.user_id,
    person.email as user_email,
    person.name as user_name,
    item.model,
    total.line_item,
    total.amount,
    total.currency,
    coalesce(item.service, 'Unlabelled') as service,
    day.fetched_at
from openai_costs.user_costs as total
join openai_costs.user_cost_days as day using (organization, usage_date)
left join openai_costs.line_items as item using (line_item)
left join people as person on person.organization = total.organization and person.id = total.user_id;
