select distinct operation
from openai_costs.usage_days
where organization = %(organization)s and usage_date >= %(since)s and row_count > 0
