delete from openai_costs.directory_entries where organization = %(organization)s
