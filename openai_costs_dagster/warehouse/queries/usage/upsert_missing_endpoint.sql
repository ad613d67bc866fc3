insert into openai_costs.missing_endpoints (organization, endpoint, message, observed_at)
values (%(organization)s, %(endpoint)s, %(message)s, %(now)s)
on conflict (organization, endpoint) do update set message = excluded.message, observed_at = excluded.observed_at
