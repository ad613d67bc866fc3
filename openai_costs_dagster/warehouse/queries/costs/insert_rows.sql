insert into openai_costs.cost_rows (
    organization, usage_date, project_id, user_id, api_key_id, line_item, currency, quantity_unit, amount, quantity
)
select
    %(organization)s, usage_date, project_id, user_id, api_key_id, line_item, currency, quantity_unit, amount, quantity
from staged_rows
