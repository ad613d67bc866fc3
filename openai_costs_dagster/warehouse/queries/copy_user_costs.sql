copy openai_costs.user_costs (organization, usage_date, user_id, line_item, currency, amount) from stdin
