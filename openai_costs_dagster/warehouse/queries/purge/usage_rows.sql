delete from openai_costs.usage_rows where organization = %(organization)s
