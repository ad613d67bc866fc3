update openai_costs.organizations
set
    earliest_day = coalesce(earliest_day, %(earliest_day)s),
    first_contact_at = coalesce(first_contact_at, %(now)s)
where organization = %(organization)s
