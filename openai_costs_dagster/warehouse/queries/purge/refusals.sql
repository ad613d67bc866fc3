delete from openai_costs.refusals where organization = %(organization)s
