select usage_date, project_id, user_id, api_key_id, line_item, currency, quantity_unit, amount, quantity
from openai_costs.cost_rows
where organization = %(organization)s and usage_date = any(%(days)s::date[])
