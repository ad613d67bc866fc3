select usage_date, user_id, line_item, currency, amount
from openai_costs.user_costs
join openai_costs.user_cost_days using (organization, usage_date)
where organization = %(organization)s and usage_date = any(%(days)s::date[])
