delete from openai_costs.organizations where organization = %(organization)s
