select
    exists (select from openai_costs.cost_rows where user_id = %(user)s)
    or exists (select from openai_costs.usage_rows where user_id = %(user)s)
    or exists (select from openai_costs.user_costs where user_id = %(user)s)
