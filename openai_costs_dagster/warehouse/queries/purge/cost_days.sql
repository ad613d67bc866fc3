delete from openai_costs.cost_days where organization = %(organization)s
