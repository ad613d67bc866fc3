-- The sessions for which a server process waits. Their names are visible to every role.
select activity.pid, coalesce(nullif(activity.application_name, ''), 'without an application name')
from unnest(pg_blocking_pids(%(pid)s)) as blocker (pid)
join pg_stat_activity as activity using (pid)
