update openai_costs.anomaly_findings as finding
set worth_alerting = false
from openai_costs.anomaly_feedback as said
where
    said.feedback_id = (select max(feedback_id) from openai_costs.anomaly_feedback)
    and said.organization = finding.organization
    and said.level = finding.level
    and said.project_id is not distinct from finding.project_id
    and said.service is not distinct from finding.service
    and said.model is not distinct from finding.model
    and said.api_key_id is not distinct from finding.api_key_id
    and said.user_id is not distinct from finding.user_id
    and said.line_item is not distinct from finding.line_item
    and finding.usage_date between said.first_day and said.last_day
