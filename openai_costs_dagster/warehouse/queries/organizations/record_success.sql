update openai_costs.organizations
set last_success_at = %(now)s, last_error = null, last_error_at = null, last_error_is_permanent = null
where organization = %(organization)s
