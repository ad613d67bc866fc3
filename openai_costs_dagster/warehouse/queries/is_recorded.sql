select exists (select from openai_costs.outbox where openai_costs.text_key(dedup_key) = openai_costs.text_key(%(dedup_key)s))
