-- Takes a lease that nobody holds, in one statement. A lease is free if it has expired, or if the server process of its
-- holder has ended. `skip locked`: a holder that is storing has locked the row, and then the lease is not free. The
-- process ids of pg_stat_activity are visible to every role. The commit does not wait for the disk, because a crash of
-- the server ends all sessions, and every transaction of a holder checks its lease again.
with setting as (
    select set_config('synchronous_commit', 'off', true)
),
free as (
    select held.name
    from openai_costs.leases as held
    where
        held.name = %(name)s
        and (
            held.expires_at < clock_timestamp()
            or (
                held.backend_pid is not null
                and not exists (select from pg_stat_activity as activity where activity.pid = held.backend_pid)
            )
        )
    for update skip locked
),
taken as (
    update openai_costs.leases as held
    set
        owner = %(owner)s,
        process = %(process)s,
        token = gen_random_uuid(),
        backend_pid = case when %(ends_with_session)s then pg_backend_pid() end,
        acquired_at = clock_timestamp(),
        expires_at = clock_timestamp() + %(duration)s
    from free, setting
    where held.name = free.name
    returning held.token
),
inserted as (
    insert into openai_costs.leases (name, owner, process, token, backend_pid, acquired_at, expires_at)
    select
        %(name)s,
        %(owner)s,
        %(process)s,
        gen_random_uuid(),
        case when %(ends_with_session)s then pg_backend_pid() end,
        clock_timestamp(),
        clock_timestamp() + %(duration)s
    from setting
    where
        not exists (select from taken)
        -- ON CONFLICT would wait for a holder that is storing.
        and not exists (select from openai_costs.leases as held where held.name = %(name)s)
    on conflict (name) do nothing
    returning token
)
select token from taken
union all
select token from inserted
