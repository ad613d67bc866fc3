select endpoint, message, observed_at
from openai_costs.missing_endpoints
where organization = %(organization)s
order by endpoint
