select what, reason, sentence, severity, days, opened_at, announced_at
from openai_costs.troubles
where organization = %(organization)s and what = %(what)s
for update
