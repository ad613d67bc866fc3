update openai_costs.organizations
set last_error = %(message)s, last_error_at = %(now)s, last_error_is_permanent = %(permanent)s
where organization = %(organization)s
