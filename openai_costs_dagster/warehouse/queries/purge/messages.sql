delete from openai_costs.messages where organization = %(organization)s
