update openai_costs.raw_buckets set digest = %(digest)s, body = %(body)s where raw_id = %(raw_id)s
