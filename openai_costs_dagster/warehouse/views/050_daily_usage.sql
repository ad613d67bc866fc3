-- Usage counters by day, operation and dimensions. input_tokens includes cached tokens and cache writes.
create or replace view openai_costs.daily_usage as
select
    usage.organization,
    usage.usage_date,
    usage.operation,
    usage.project_id,
    usage.user_id,
    usage.api_key_id,
    usage.model,
    day.provisional,
    day.fetched_at,
    /*usage columns*/
from openai_costs.usage_rows as usage
join openai_costs.usage_days as day using (organization, usage_date, operation);
