-- Dagster stores times without a time zone, in UTC.
select
    run.run_id,
    run.status,
    tag.value as process_tag,
    run.create_timestamp at time zone 'UTC' as created_at,
    run.update_timestamp at time zone 'UTC' as changed_at,
    run.run_body as body
from openai_costs_dagster.runs as run
left join openai_costs_dagster.run_tags as tag on run.run_id = tag.run_id and tag.key = '.dagster/openai-costs-process'
where run.status in ('NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')
order by run.create_timestamp
