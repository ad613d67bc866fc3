delete from openai_costs.budget_states where organization = %(organization)s
