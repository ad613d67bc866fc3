-- Spend by user: allocated costs or, for line items that allocation does not split by user, the totals that OpenAI billed
-- to the user, which name no project and no API key. Rows without a user are excluded.
create or replace view openai_costs.user_spend as
with unsplit as not materialized (
    select allocated.organization, allocated.usage_date, allocated.unsplit_line_items as line_items
    from openai_costs.allocation_days as allocated
    join openai_costs.cost_days as day using (organization, usage_date)
    where allocated.unsplit_line_items is not null and allocated.sync_window_id = day.sync_window_id
)
select
    share.organization,
    share.usage_date,
    share.user_id,
    share.project_id,
    share.api_key_id,
    share.line_item,
    share.amount,
    share.currency,
    share.method
from openai_costs.allocated_costs as share
left join unsplit using (organization, usage_date)
where
    share.user_id is not null
    and (unsplit.line_items is null or array_position(unsplit.line_items, share.line_item) is null)
union all
select
    total.organization,
    total.usage_date,
    total.user_id,
    null,
    null,
    total.line_item,
    total.amount,
    total.currency,
    'billed'
from openai_costs.user_costs as total
join unsplit using (organization, usage_date)
where total.user_id is not null and array_position(unsplit.line_items, total.line_item) is not null;
