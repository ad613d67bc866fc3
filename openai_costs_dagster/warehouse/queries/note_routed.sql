update openai_costs.outbox set routed_at = %(now)s where alert_id = any(%(alert_ids)s::bigint[])
