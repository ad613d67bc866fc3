-- What was judged again and not found again is found no more. Users are judged by themselves, once costs are allocated.
delete from openai_costs.anomaly_findings
where
    organization = %(organization)s
    and usage_date = any(%(days)s::date[])
    and evaluated_at <> %(now)s
    and (level = 'user') = %(users)s
