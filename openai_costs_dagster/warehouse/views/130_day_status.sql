-- The status of each day of an organization's history, including missing days.
create or replace view openai_costs.day_status as
with expected as (
    select organization.organization, due.usage_date::date as usage_date
    from openai_costs.organizations as organization
    cross join lateral generate_series(
        greatest(organization.start_date, organization.earliest_day)::timestamp,
        (now() at time zone 'utc')::date - 1,
        interval '1 day'
    ) as due (usage_date)
)
select
    organization,
    usage_date,
    case
        when day.fetched_at is null then 'missing'
        when day.provisional then 'provisional'
        when not day.reconciled then 'unreconciled'
        else 'settled'
    end as state,
    day.amount_usd,
    day.row_count,
    day.absent_amounts as rows_without_amount,
    day.grouping,
    day.reconciled,
    day.reconcile_difference,
    day.fetched_at
from expected
full join openai_costs.cost_days as day using (organization, usage_date);
