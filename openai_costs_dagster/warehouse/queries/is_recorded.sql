select exists (select from openai_costs.outbox where dedup_key = %(dedup_key)s)
