select min(usage_date) from openai_costs.cost_days where organization = any(%(organizations)s)
