delete from openai_costs.cost_rows where organization = %(organization)s
