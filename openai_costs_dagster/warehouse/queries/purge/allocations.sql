delete from openai_costs.allocations where organization = %(organization)s
