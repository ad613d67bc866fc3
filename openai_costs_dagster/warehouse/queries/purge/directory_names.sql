delete from openai_costs.directory_names where organization = %(organization)s
