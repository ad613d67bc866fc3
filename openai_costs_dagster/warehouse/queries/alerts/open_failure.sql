select kind, reason, message, severity, days, opened_at, announced_at
from openai_costs.open_failures
where organization = %(organization)s and kind = %(kind)s
for update
