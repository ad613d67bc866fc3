select usage_date, currency, count(*), sum(amount)
from openai_costs.cost_rows
where organization = %(organization)s and usage_date between %(first)s and %(last)s
group by usage_date, currency
