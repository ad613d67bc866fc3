update openai_costs.organizations
set first_judged_run = coalesce(first_judged_run, %(run_id)s)
where organization = %(organization)s
returning first_judged_run
