delete from openai_costs.missing_endpoints where organization = %(organization)s
