-- Takes a lease that has no row. The commit does not wait for the disk, because a crash of the server ends all sessions,
-- and every transaction of a holder checks its lease again.
insert into openai_costs.leases (name, owner, process, token, backend_pid, acquired_at, expires_at)
select
    %(name)s,
    %(owner)s,
    %(process)s,
    gen_random_uuid(),
    case when %(ends_with_session)s then pg_backend_pid() end,
    clock_timestamp(),
    clock_timestamp() + %(duration)s
from (select set_config('synchronous_commit', 'off', true)) as setting
-- ON CONFLICT alone would wait for a holder that is storing.
where not exists (select from openai_costs.leases as held where held.name = %(name)s)
on conflict (name) do nothing
returning token
