delete from openai_costs.user_costs where organization = %(organization)s
