-- Deletes the feedback on a finding and the feedback that covers it: a mute of its series, or "expected" for its day.
-- An expected finding is deleted by the next evaluation of its day, so that the feedback stores the id of the finding.
delete from openai_costs.anomaly_feedback as answer
where
    answer.kind = %(kind)s
    and (
        answer.anomaly_id = %(anomaly_id)s
        or exists (
            select from openai_costs.anomaly_findings as finding
            where
                finding.anomaly_id = %(anomaly_id)s
                and finding.organization = answer.organization
                and finding.level = answer.level
                and finding.project_id is not distinct from answer.project_id
                and finding.service is not distinct from answer.service
                and finding.model is not distinct from answer.model
                and finding.api_key_id is not distinct from answer.api_key_id
                and finding.user_id is not distinct from answer.user_id
                and finding.line_item is not distinct from answer.line_item
                and (answer.kind = 'mute' or finding.usage_date between answer.first_day and answer.last_day)
        )
    )
