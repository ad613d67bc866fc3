update openai_costs.organizations
set
    earliest_day = coalesce(earliest_day, %(earliest_day)s),
    onboarded_at = coalesce(onboarded_at, %(now)s)
where organization = %(organization)s
