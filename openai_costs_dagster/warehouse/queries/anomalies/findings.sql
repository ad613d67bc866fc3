select
    anomaly_id, organization, usage_date, level, project_id, project_name, service, model, api_key_id, user_id,
    line_item, actual,
    expected, lower, upper, impact, score, direction, severity, reason, explanation, worth_alerting, trigger, found_at,
    alerted_at, feedback, is_open, muted
from openai_costs.anomalies
where
    (%(organization)s::text is null or organization = %(organization)s)
    and (%(first)s::date is null or usage_date >= %(first)s)
    and (%(last)s::date is null or usage_date <= %(last)s)
    and (%(anomaly_id)s::bigint is null or anomaly_id = %(anomaly_id)s)
    and (is_open or not %(only_open)s)
order by usage_date desc, abs(impact) desc, anomaly_id
