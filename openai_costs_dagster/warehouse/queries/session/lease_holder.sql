select owner, process, token, acquired_at, expires_at from openai_costs.leases where name = %(name)s
