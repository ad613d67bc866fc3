select
    count(*) as length,
    min(run.update_timestamp) at time zone 'UTC' as since,
    (
        select max(heartbeat.timestamp) at time zone 'UTC'
        from openai_costs_dagster.daemon_heartbeats as heartbeat
        where heartbeat.daemon_type = 'QUEUED_RUN_COORDINATOR'
    ) as daemon_at
from openai_costs_dagster.runs as run
where run.status = 'QUEUED'
