delete from openai_costs.revisions where organization = %(organization)s
