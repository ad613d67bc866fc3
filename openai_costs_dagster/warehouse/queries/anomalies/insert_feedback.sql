insert into openai_costs.anomaly_feedback (
    organization, kind, level, project_id, service, model, api_key_id, user_id, line_item, first_day, last_day, reason,
    given_at, anomaly_id
)
select
    organization, %(kind)s, level, project_id, service, model, api_key_id, user_id, line_item,
    usage_date, %(last_day)s::date, %(reason)s, %(now)s, anomaly_id
from openai_costs.anomaly_findings
where anomaly_id = %(anomaly_id)s
