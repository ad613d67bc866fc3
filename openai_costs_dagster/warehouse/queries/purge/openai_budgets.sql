delete from openai_costs.openai_budgets where organization = %(organization)s
