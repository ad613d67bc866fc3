delete from openai_costs.allocation_days where organization = %(organization)s
