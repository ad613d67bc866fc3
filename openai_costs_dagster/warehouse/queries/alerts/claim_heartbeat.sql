-- Claims one attempt. No other process sends the same heartbeat before the lease expires.
insert into openai_costs.heartbeats (location, address, day, attempts, due_at)
values (%(location)s, %(address)s, %(day)s, 1, %(leased_to)s)
on conflict (location, address) do update set
    day = excluded.day,
    attempts = case when heartbeats.day = excluded.day then heartbeats.attempts + 1 else 1 end,
    due_at = excluded.due_at,
    delivered_at = null,
    last_error = case when heartbeats.day = excluded.day then heartbeats.last_error end
where
    heartbeats.day < excluded.day
    or (heartbeats.day = excluded.day and heartbeats.delivered_at is null and heartbeats.due_at <= %(now)s)
returning attempts
