select usage_date, provisional, grouping, row_count, amount_usd
from openai_costs.cost_days
where organization = %(organization)s and usage_date between %(first)s and %(last)s
