update openai_costs.leases
set expires_at = clock_timestamp() + %(duration)s
where name = %(name)s and token = %(token)s
