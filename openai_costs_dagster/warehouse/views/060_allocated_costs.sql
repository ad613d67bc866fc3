-- Costs allocated to users and API keys. The view always adds up to daily_costs: a day whose current costs are not
-- allocated yet appears as billed.
create or replace view openai_costs.allocated_costs as
with people as materialized (
    select
        organization,
        id,
        (array_agg(name order by last_seen_at desc) filter (where name is not null))[1] as name,
        (array_agg(email order by last_seen_at desc) filter (where email is not null))[1] as email
    from openai_costs.directory_names
    where kind = 'user'
    group by organization, id
),
shares as (
    select
        allocation.organization,
        allocation.usage_date,
        allocation.project_id,
        allocation.user_id,
        allocation.api_key_id,
        allocation.line_item,
        allocation.currency,
        allocation.amount,
        allocation.method
    from openai_costs.allocations as allocation
    join openai_costs.allocation_days as shared using (organization, usage_date)
    join openai_costs.cost_days as day using (organization, usage_date)
    where shared.sync_window_id = day.sync_window_id
    union all
    select
        cost.organization,
        cost.usage_date,
        cost.project_id,
        cost.user_id,
        cost.api_key_id,
        cost.line_item,
        cost.currency,
        cost.amount,
        case when cost.user_id is null then 'unallocated' else 'billed' end
    from openai_costs.cost_rows as cost
    join openai_costs.cost_days as day using (organization, usage_date)
    where not exists (
        select
        from openai_costs.allocation_days as shared
        where
            shared.organization = day.organization
            and shared.usage_date = day.usage_date
            and shared.sync_window_id = day.sync_window_id
    )
)
select
    share.organization,
    share.usage_date,
    share.project_id,
    share.user_id,
    person.email as user_email,
    share.api_key_id,
    item.model,
    share.line_item,
    share.amount,
    share.currency,
    share.method,
    -- Labels of more than 500 characters are not stored in `line_items`; the label itself is the service.
    coalesce(item.service, case when length(share.line_item) > 500 then share.line_item end, 'Unlabelled') as service,
    -- Ids of more than 500 characters are not stored in `projects`.
    coalesce(
        project.project_name,
        case
            when length(share.project_id) > 500 then (
                select known.name
                from openai_costs.directory_names as known
                where
                    known.organization = share.organization
                    and known.kind = 'project'
                    and openai_costs.text_key(known.id) = openai_costs.text_key(share.project_id)
                order by known.last_seen_at desc
                limit 1
            )
        end
    ) as project_name,
    person.name as user_name
from shares as share
left join openai_costs.line_items as item using (line_item)
left join openai_costs.projects as project using (organization, project_id)
left join people as person on person.organization = share.organization and person.id = share.user_id;
