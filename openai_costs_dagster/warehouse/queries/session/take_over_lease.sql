-- Takes a lease whose row has expired, or whose holder's server process has ended. `skip locked`: a holder that is
-- storing has locked the row, and then the lease is not free. `pg_stat_get_activity` returns a row for every running
-- server process, whatever its role.
with free as (
    select held.name
    from openai_costs.leases as held
    where
        held.name = %(name)s
        and (
            held.expires_at < clock_timestamp()
            or (
                held.backend_pid is not null
                and not exists (select from pg_stat_get_activity(held.backend_pid))
            )
        )
    for update skip locked
)
update openai_costs.leases as held
set
    owner = %(owner)s,
    process = %(process)s,
    token = gen_random_uuid(),
    backend_pid = case when %(ends_with_session)s then pg_backend_pid() end,
    acquired_at = clock_timestamp(),
    expires_at = clock_timestamp() + %(duration)s
from free
where held.name = free.name
returning held.token
