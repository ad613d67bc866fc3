insert into openai_costs.anomaly_findings (
    organization, usage_date, level, project_id, service, model, api_key_id, user_id, line_item, actual, expected, lower, upper,
    impact, score, direction, severity, reason, explanation, worth_alerting, trigger, found_at, evaluated_at
)
values (
    %(organization)s, %(usage_date)s, %(level)s, %(project_id)s, %(service)s, %(model)s, %(api_key_id)s, %(user_id)s,
    %(line_item)s, %(actual)s, %(expected)s, %(lower)s, %(upper)s, %(impact)s, %(score)s, %(direction)s, %(severity)s, %(reason)s,
    %(explanation)s, %(worth_alerting)s, %(trigger)s, %(now)s, %(now)s
)
on conflict (
    organization, usage_date, level, openai_costs.text_key(project_id), openai_costs.text_key(service), openai_costs.text_key(model),
    openai_costs.text_key(api_key_id), openai_costs.text_key(user_id), openai_costs.text_key(line_item)
) do update set
    actual = excluded.actual,
    expected = excluded.expected,
    lower = excluded.lower,
    upper = excluded.upper,
    impact = excluded.impact,
    score = excluded.score,
    direction = excluded.direction,
    severity = excluded.severity,
    reason = excluded.reason,
    explanation = excluded.explanation,
    -- A finding that has grown large enough for an alert counts as new: the trigger of this run decides whether the
    -- finding may alert.
    trigger = case
        when excluded.worth_alerting and not anomaly_findings.worth_alerting then excluded.trigger
        else anomaly_findings.trigger
    end,
    worth_alerting = excluded.worth_alerting,
    evaluated_at = excluded.evaluated_at
returning anomaly_id
