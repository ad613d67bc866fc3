delete from openai_costs.outbox where organization = %(organization)s
