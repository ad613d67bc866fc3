delete from openai_costs.readings where organization = %(organization)s
