"""What the tables behind the assets look like, for Dagster's pages."""

from __future__ import annotations

import dagster as dg

DAILY_COSTS = dg.TableSchema(
    [
        dg.TableColumn(name, kind, description=text)
        for name, kind, text in (
            ("organization", "text", "The configured name"),
            ("usage_date", "date", "The UTC day that was billed (charge period)"),
            ("project_id", "text", "OpenAI's project"),
            ("project_name", "text", "Its newest known name"),
            ("line_item", "text", "The label on OpenAI's bill"),
            ("service", "text", "The product, as in Chat completions"),
            ("category", "text", "The model, or the tool's name where there is none"),
            ("subcategory", "text", "The kind, as in cached input"),
            ("model", "text", "The model, null without one"),
            ("api_key_id", "text", "The API key, where the API bills by key"),
            ("user_id", "text", "The user, where the API bills by user"),
            ("amount", "numeric", "Exact, in units of the currency"),
            ("currency", "text", "As billed, in lower case"),
            ("quantity", "numeric", "What was billed for, in quantity_unit"),
            ("quantity_unit", "text", "As in tokens; null where the API names none"),
            ("unit_price", "numeric", "Amount by quantity"),
            ("grouping", "text", "How fine the API served the day"),
            ("provisional", "boolean", "Whether the day may still change"),
            ("fetched_at", "timestamptz", "When it was read"),
        )
    ]
)
