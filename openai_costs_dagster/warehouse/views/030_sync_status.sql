-- One row per onboarded organization. Days are UTC; missing_days excludes today.
create or replace view openai_costs.sync_status as
select
    organization.organization,
    loaded.last_day,
    calendar.settled_to,
    calendar.missing_days,
    organization.last_success_at,
    organization.last_error
from openai_costs.organizations as organization
left join lateral (
    select min(usage_date) as first_day, max(usage_date) as last_day
    from openai_costs.cost_days as day
    where day.organization = organization.organization
) as loaded on true
left join lateral (
    select
        greatest(organization.start_date, organization.earliest_day) as first_day,
        (now() at time zone 'utc')::date - 1 as last_day
) as due on true
left join lateral (
    select
        count(*) filter (where day.usage_date is null) as missing_days,
        coalesce(
            min(expected.usage_date::date) filter (where day.provisional is distinct from false) - 1,
            max(expected.usage_date::date)
        ) as unbroken_to
    from generate_series(due.first_day, due.last_day, interval '1 day') as expected (usage_date)
    left join openai_costs.cost_days as day
        on day.organization = organization.organization and day.usage_date = expected.usage_date::date
) as unbroken on true
left join lateral (
    select
        unbroken.missing_days,
        case when unbroken.unbroken_to >= due.first_day then unbroken.unbroken_to end as settled_to
) as calendar on true;
