-- A start never moves over a stored day: partitions that hold something must not be forgotten. Both columns change
-- together, because the number of days that the API serves is the distance between them.
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
