select usage_date
from openai_costs.cost_days
where organization = %(organization)s and not reconciled and not provisional
order by usage_date
