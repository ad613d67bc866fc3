delete from openai_costs.usage_days where organization = %(organization)s
