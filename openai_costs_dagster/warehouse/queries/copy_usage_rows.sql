copy openai_costs.usage_rows (
    organization, usage_date, operation, project_id, user_id, api_key_id, model, groups, counters
) from stdin
