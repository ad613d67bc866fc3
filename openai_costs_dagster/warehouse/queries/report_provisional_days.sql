select organization, usage_date
from openai_costs.cost_days
where organization = any(%(organizations)s) and usage_date between %(first)s and %(last)s and provisional
order by 1, 2
