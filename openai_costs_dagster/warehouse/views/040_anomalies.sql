-- Findings with their feedback, one row per cause. `is_open` defines open anomalies: worth an alert, without feedback.
create or replace view openai_costs.anomalies as
select
    finding.organization,
    finding.usage_date,
    finding.level,
    finding.project_id,
    -- Ids of more than 500 characters are not stored in `projects`.
    coalesce(
        project.project_name,
        case
            when length(finding.project_id) > 500 then (
                select known.name
                from openai_costs.directory_names as known
                where
                    known.organization = finding.organization
                    and known.kind = 'project'
                    and openai_costs.text_key(known.id) = openai_costs.text_key(finding.project_id)
                order by known.last_seen_at desc
                limit 1
            )
        end
    ) as project_name,
    finding.service,
    finding.model,
    finding.api_key_id,
    finding.user_id,
    finding.actual,
    finding.expected,
    finding.lower,
    finding.upper,
    finding.impact,
    finding.direction,
    finding.severity,
    -- Stored explanations contain user ids only, so that names can be forgotten.
    case
        when person.name is null then finding.explanation
        else replace(finding.explanation, finding.user_id, person.name || ' (' || finding.user_id || ')')
    end as explanation,
    finding.alerted_at,
    answer.feedback,
    finding.worth_alerting and not coalesce(answer.muted, false) as worth_alerting,
    finding.score,
    finding.reason,
    finding.trigger,
    finding.found_at,
    finding.evaluated_at,
    finding.anomaly_id,
    finding.line_item,
    finding.worth_alerting and not coalesce(answer.muted, false) and answer.feedback is null as is_open,
    coalesce(answer.muted, false) as muted
from openai_costs.anomaly_findings as finding
left join openai_costs.projects as project using (organization, project_id)
left join lateral (
    select
        (array_agg(given.kind || ': ' || given.reason order by given.feedback_id desc))[1] as feedback,
        bool_or(given.kind = 'mute') as muted
    from openai_costs.anomaly_feedback as given
    where
        given.organization = finding.organization
        and given.level = finding.level
        and given.project_id is not distinct from finding.project_id
        and given.service is not distinct from finding.service
        and given.model is not distinct from finding.model
        and given.api_key_id is not distinct from finding.api_key_id
        and given.user_id is not distinct from finding.user_id
        and given.line_item is not distinct from finding.line_item
        and finding.usage_date between given.first_day and given.last_day
) as answer on true
left join lateral (
    select known.name
    from openai_costs.directory_names as known
    where
        known.organization = finding.organization
        and known.kind = 'user'
        and known.id = finding.user_id
        and known.name is not null
    order by known.last_seen_at desc
    limit 1
) as person on true;
