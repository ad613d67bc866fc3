"""Takes an organization out for good: out of our tables, and out of Dagster's where they lie beside them."""

from __future__ import annotations

from collections.abc import Sequence

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_TABLES = (
    "cost_rows",
    "cost_days",
    "revisions",
    "raw_buckets",
    "sync_windows",
    "projects",
    "refused_groupings",
    "anomaly_findings",
    "anomaly_feedback",
    "usage_rows",
    "usage_days",
    "missing_endpoints",
    "directory_entries",
    "directory_names",
    "user_costs",
    "user_cost_days",
    "allocations",
    "allocation_days",
    "messages",
    "outbox",
    "incidents",
    "open_failures",
    "budget_states",
    "openai_budgets",
    "dead_runs",
    "sensor_ticks",
    "organizations",
)
_DAGSTERS = (
    "event_logs",
    "asset_keys",
    "asset_event_tags",
    "asset_check_executions",
    "asset_daemon_asset_evaluations",
    "concurrency_limits",
    "concurrency_slots",
    "pending_steps",
    "job_ticks",
    "bulk_actions",
)


def purge(connection: Connection, organization: str) -> dict[str, int]:
    """Deletes all that is stored of an organization, in one transaction; returns rows deleted by table."""
    deleted: dict[str, int] = {}
    with connection.transaction():
        for table in _TABLES:
            cursor = connection.execute(statement(f"purge/{table}"), {"organization": organization})
            deleted[table] = cursor.rowcount
    return deleted


def purge_dagster(connection: Connection, assets: Sequence[str], *, pool: str) -> int:
    """Deletes what Dagster's tables still say of an organization after its own wiping: the name alone.

    `assets` is what the keys of its assets begin with. Returns how many rows that were. Where Dagster keeps its history
    elsewhere there is nothing to do here.
    """
    values = {"mentions": _mentions(assets), "pool": pool}
    with connection.transaction():
        there = {name for (name,) in connection.execute(statement("dagster_tables")).fetchall()}
        return sum(
            connection.execute(statement(f"purge/dagster/{table}"), values).rowcount
            for table in _DAGSTERS
            if table in there
        )


def _mentions(assets: Sequence[str]) -> str:
    r"""A regular expression for its assets, however they are written: ``openai/acme/``, ``[\"openai\", \"acme\"``."""
    return "[^A-Za-z0-9_-]+".join(assets) + "[^A-Za-z0-9_-]"
