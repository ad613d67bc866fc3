copy staged_rows (
    usage_date, project_id, user_id, api_key_id, line_item, currency, quantity_unit, amount, quantity
) from stdin
