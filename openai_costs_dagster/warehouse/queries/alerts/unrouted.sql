-- Alerts that another router has locked are skipped.
select
    alert_id, dedup_key, organization, kind, event, severity, project_id, usage_date, anomaly_id, title, message, facts,
    page, chart, created_at
from openai_costs.outbox
where routed_at is null and not acknowledged
order by alert_id
for update skip locked
