delete from openai_costs.incidents where organization = %(organization)s
