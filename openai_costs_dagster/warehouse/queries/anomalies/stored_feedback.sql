select
    answer.anomaly_id, answer.organization, answer.kind, answer.level, answer.project_id, project.project_name,
    answer.service, answer.model, answer.api_key_id, answer.user_id, answer.line_item, answer.first_day, answer.last_day,
    answer.reason, answer.given_at
from openai_costs.anomaly_feedback as answer
left join openai_costs.projects as project using (organization, project_id)
where
    answer.kind = %(kind)s
    and (%(organization)s::text is null or answer.organization = %(organization)s)
    and (%(running_on)s::date is null or answer.last_day >= %(running_on)s)
order by answer.organization, answer.feedback_id
