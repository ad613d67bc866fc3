select
    status.organization,
    status.last_day,
    status.settled_to,
    status.missing_days,
    status.last_success_at,
    status.last_error,
    organization.last_error_is_permanent,
    coalesce(day.absent_amounts, 0) as absent_amounts
from openai_costs.sync_status as status
join openai_costs.organizations as organization using (organization)
left join lateral (
    select sum(absent_amounts) as absent_amounts
    from openai_costs.cost_days
    where cost_days.organization = status.organization
) as day on true
order by status.organization
