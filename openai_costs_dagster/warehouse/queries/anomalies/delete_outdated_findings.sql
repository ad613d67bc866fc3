-- Deletes findings that the latest evaluation did not confirm. Users are evaluated separately, after allocation.
delete from openai_costs.anomaly_findings
where
    organization = %(organization)s
    and usage_date = any(%(days)s::date[])
    and evaluated_at <> %(now)s
    and (level = 'user') = %(users)s
