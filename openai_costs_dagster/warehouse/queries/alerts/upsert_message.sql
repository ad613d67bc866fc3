-- A digest collects further alerts until its first attempt.
insert into openai_costs.messages (channel, idempotency_key, organization, alert_ids, state, due_at, attempts, created_at)
values (%(channel)s, %(idempotency_key)s, %(organization)s, %(alert_ids)s, 'waiting', %(due_at)s, 0, %(now)s)
on conflict (idempotency_key) do update set
    organization = nullif(openai_costs.messages.organization, nullif(openai_costs.messages.organization, excluded.organization)),
    alert_ids = openai_costs.messages.alert_ids || (
        select coalesce(array_agg(alert_id order by alert_id), '{}')
        from unnest(excluded.alert_ids) as alert_id
        where alert_id <> all (openai_costs.messages.alert_ids)
    )
where openai_costs.messages.attempts = 0 and openai_costs.messages.state = 'waiting'
