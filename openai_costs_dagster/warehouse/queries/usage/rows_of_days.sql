select usage_date, operation, project_id, user_id, api_key_id, model, groups, counters::text
from openai_costs.usage_rows
where organization = %(organization)s and usage_date = any(%(days)s::date[])
