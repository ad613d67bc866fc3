-- Provisional days, and days of an organization's history that are not stored. Today is never missing.
with due as (
    select organization.organization, day.usage_date::date as usage_date
    from openai_costs.organizations as organization
    cross join lateral generate_series(
        greatest(organization.start_date, organization.earliest_day, %(first)s)::timestamp,
        %(last)s::timestamp - interval '1 day',
        interval '1 day'
    ) as day (usage_date)
    where organization.organization = any(%(organizations)s)
)
select organization, usage_date, stored.provisional is null as missing
from due
full join (
    select organization, usage_date, provisional
    from openai_costs.cost_days
    where organization = any(%(organizations)s) and usage_date between %(first)s and %(last)s
) as stored using (organization, usage_date)
where stored.provisional or stored.provisional is null
order by organization, usage_date
