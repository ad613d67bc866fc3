insert into openai_costs.outbox (
    dedup_key, organization, kind, event, severity, project_id, usage_date, anomaly_id, title, message, facts, page, chart,
    created_at, acknowledged
)
values (
    %(dedup_key)s, %(organization)s, %(kind)s, %(event)s, %(severity)s, %(project_id)s, %(usage_date)s, %(anomaly_id)s,
    %(title)s, %(message)s, %(facts)s::jsonb, %(page)s, %(chart)s, %(now)s, %(acknowledged)s
)
on conflict do nothing
