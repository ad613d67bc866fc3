"""What the views behind the assets look like, for Dagster's pages."""

from __future__ import annotations

import dagster as dg

from openai_costs_dagster.usage_records import COLUMNS, COUNTERS, FLAGS


def _schema(*columns: tuple[str, str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind, description=text) for name, kind, text in columns])


def _usage_column(name: str) -> tuple[str, str, str]:
    kind = "numeric" if name in COUNTERS else "boolean" if name in FLAGS else "text"
    what = "Counted by the endpoints that have it" if name in COUNTERS else "A group of the endpoints that have it"
    return name, kind, f"{what}, null elsewhere"


DAILY_COSTS = _schema(
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

DAILY_USAGE = _schema(
    ("organization", "text", "The configured name"),
    ("usage_date", "date", "The UTC day"),
    ("operation", "text", "The endpoint that counted, as in completions"),
    ("project_id", "text", "OpenAI's project"),
    ("user_id", "text", "The user"),
    ("api_key_id", "text", "The API key"),
    ("model", "text", "The model, as usage calls it"),
    ("provisional", "boolean", "Whether the day may still change"),
    ("fetched_at", "timestamptz", "When it was read"),
    *map(_usage_column, COLUMNS),
)

ALLOCATED_COSTS = _schema(
    ("organization", "text", "The configured name"),
    ("usage_date", "date", "The UTC day that was billed (charge period)"),
    ("project_id", "text", "OpenAI's project"),
    ("user_id", "text", "Who caused it; null for service accounts and what nothing explains"),
    ("user_email", "text", "Their address, where addresses are kept"),
    ("api_key_id", "text", "The API key that caused it"),
    ("model", "text", "The model, null without one"),
    ("line_item", "text", "The label on OpenAI's bill"),
    ("amount", "numeric", "The share, exact; the shares of a cost row add up to it"),
    ("currency", "text", "As billed, in lower case"),
    ("method", "text", "billed by user, shared out by usage, or unallocated"),
    ("service", "text", "The product, as in Chat completions"),
    ("project_name", "text", "The project's newest known name"),
    ("user_name", "text", "Their newest known name"),
)

DIRECTORY = _schema(
    ("organization", "text", "The configured name"),
    ("kind", "text", "project, user or api_key"),
    ("id", "text", "What costs and usage call it"),
    ("name", "text", "Its newest known name"),
    ("email", "text", "A user's address, where addresses are kept"),
    ("project_id", "text", "The project that an API key belongs to"),
    ("owner_id", "text", "Who an API key belongs to"),
    ("status", "text", "As OpenAI says; what is gone or archived keeps its name"),
    ("earlier_names", "text[]", "What it was called before"),
    ("last_seen_at", "timestamptz", "When it was last listed"),
)
