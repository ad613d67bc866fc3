update openai_costs.anomaly_findings as finding
set alerted_at = coalesce(finding.alerted_at, %(now)s)
from openai_costs.outbox as alert
where alert.alert_id = any(%(alert_ids)s::bigint[]) and finding.anomaly_id = alert.anomaly_id
