select usage_date, amount_usd as amount
from openai_costs.cost_days
where organization = %(organization)s and usage_date between %(first)s and %(last)s and amount_usd <> 0
