select
    alert_id, dedup_key, organization, kind, event, severity, project_id, usage_date, anomaly_id, title, message, facts,
    page, chart, created_at
from openai_costs.outbox
where alert_id = any(%(alert_ids)s::bigint[])
order by alert_id
