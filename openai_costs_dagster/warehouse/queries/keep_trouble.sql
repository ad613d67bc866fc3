insert into openai_costs.troubles (
    organization, what, reason, sentence, severity, days, opened_at, announced_at
)
values (
    %(organization)s, %(what)s, %(reason)s, %(sentence)s, %(severity)s, %(days)s::date[], %(opened_at)s, %(announced_at)s
)
on conflict (organization, what) do update set
    reason = excluded.reason,
    sentence = excluded.sentence,
    severity = excluded.severity,
    days = excluded.days,
    announced_at = excluded.announced_at
