delete from openai_costs.user_cost_days where organization = %(organization)s
