-- Spend of some days, and its parts allocated to users and API keys. Absolute amounts are summed, so that credits hide
-- nothing. Days whose current costs are not allocated yet count as not allocated.
select
    sum(coalesce(shared.gross_usd, abs(day.amount_usd))) as gross_usd,
    sum(coalesce(shared.to_users_usd, 0)) as to_users_usd,
    sum(coalesce(shared.to_keys_usd, 0)) as to_keys_usd
from openai_costs.cost_days as day
left join openai_costs.allocation_days as shared
    on
        shared.organization = day.organization
        and shared.usage_date = day.usage_date
        and shared.sync_window_id = day.sync_window_id
where day.organization = %(organization)s and day.usage_date between %(first)s and %(last)s
