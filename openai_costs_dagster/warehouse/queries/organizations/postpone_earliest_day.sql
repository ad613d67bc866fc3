-- The first day never moves past a stored day, because the partitions of stored days must not disappear. Both columns
-- change together, because their difference is the number of days that the API serves.
update openai_costs.organizations
set
    earliest_day = %(earliest_day)s,
    onboarded_at = %(now)s
where
    organization = %(organization)s
    and earliest_day < %(earliest_day)s
    and not exists (
        select
        from openai_costs.cost_days
        where cost_days.organization = %(organization)s and cost_days.usage_date < %(earliest_day)s
    )
