update openai_costs.organizations
set first_evaluated_run = coalesce(first_evaluated_run, %(run_id)s)
where organization = %(organization)s
returning first_evaluated_run
