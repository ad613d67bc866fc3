select organization, min(usage_date) as first_day
from openai_costs.cost_days
where organization = any(%(organizations)s)
group by organization
