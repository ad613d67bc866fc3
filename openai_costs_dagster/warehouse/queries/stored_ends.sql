select min(usage_date), max(usage_date) from openai_costs.cost_days where organization = %(organization)s
