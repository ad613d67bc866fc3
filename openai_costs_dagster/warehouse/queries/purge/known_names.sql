delete from openai_costs.known_names where organization = %(organization)s
