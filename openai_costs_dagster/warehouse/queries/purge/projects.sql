delete from openai_costs.projects where organization = %(organization)s
