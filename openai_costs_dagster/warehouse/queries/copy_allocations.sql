copy openai_costs.allocations (
    organization, usage_date, project_id, user_id, api_key_id, line_item, currency, amount, method
) from stdin
