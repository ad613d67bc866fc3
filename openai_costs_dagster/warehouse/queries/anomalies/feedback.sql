select organization, kind, level, project_id, service, model, api_key_id, user_id, line_item, first_day, last_day, reason
from openai_costs.anomaly_feedback
where organization = %(organization)s
order by feedback_id
