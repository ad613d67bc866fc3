select usage_date, sync_window_id, grouping, provisional, reconciled
from openai_costs.cost_days
where organization = %(organization)s and usage_date = any(%(days)s::date[])
order by usage_date
