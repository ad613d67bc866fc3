select usage_date, provisional, amount_usd
from openai_costs.cost_days
where organization = %(organization)s and usage_date <= %(last)s
order by usage_date
