delete from openai_costs.dead_runs where organization = %(organization)s
