-- pg_locks splits a 64-bit advisory key into its two halves. backend_start is null for sessions of other roles, unless
-- the current role may read all statistics.
select
    activity.application_name
    || coalesce(', since ' || to_char(activity.backend_start, 'YYYY-MM-DD HH24:MI:SS') || ' UTC', '')
from pg_locks as held
join pg_stat_activity as activity using (pid)
where
    held.locktype = 'advisory'
    and held.granted
    and held.objsubid = 1
    and held.database = (select oid from pg_database where datname = current_database())
    and (held.classid::bigint << 32) | held.objid::bigint = hashtextextended(%(key)s, 0)
limit 1
