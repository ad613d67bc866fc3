insert into openai_costs.open_failures (
    organization, kind, reason, message, severity, days, opened_at, announced_at
)
values (
    %(organization)s, %(kind)s, %(reason)s, %(message)s, %(severity)s, %(days)s::date[], %(opened_at)s, %(announced_at)s
)
on conflict (organization, kind) do update set
    reason = excluded.reason,
    message = excluded.message,
    severity = excluded.severity,
    days = excluded.days,
    announced_at = excluded.announced_at
