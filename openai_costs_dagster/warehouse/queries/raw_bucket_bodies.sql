select raw_id, body from openai_costs.raw_buckets where organization = %(organization)s
