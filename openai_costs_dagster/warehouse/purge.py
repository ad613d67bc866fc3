"""Deletes all rows of an organization from the tables of this package and from Dagster's own tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import LiteralString

from psycopg import sql

from openai_costs_dagster.warehouse import dagster_runs
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.schema import SCHEMA
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
    "locks",
    "organizations",
)
"""The tables whose rows belong to one organization each, so that `purge` deletes all rows of the organization.

The table `line_items` is missing here, because all organizations use the same line items.
"""

_CONDITIONS: Mapping[str, LiteralString] = {
    "event_logs": "asset_key ~ %(pattern)s or event ~ %(pattern)s",
    "asset_keys": "asset_key ~ %(pattern)s",
    "asset_event_tags": "asset_key ~ %(pattern)s",
    "asset_check_executions": "asset_key ~ %(pattern)s",
    "asset_daemon_asset_evaluations": "asset_key ~ %(pattern)s",
    "concurrency_limits": "concurrency_key = %(pool)s",
    "concurrency_slots": "concurrency_key = %(pool)s",
    "pending_steps": "concurrency_key = %(pool)s",
    "job_ticks": "tick_body ~ %(pattern)s",
    # A finished backfill that also covered other organizations is deleted from Dagster's list of backfills as a whole.
    # The costs that it stored for other organizations stay. Running backfills are not deleted.
    "bulk_actions": "body ~ %(pattern)s and status not in ('REQUESTED', 'CANCELING', 'FAILING')",
}
"""The SQL condition that selects the rows of one organization in each of Dagster's tables, by table name."""


def purge(connection: Connection, organization: str) -> dict[str, int]:
    """Delete all rows of an organization from the tables of this package, in one transaction.

    Returns the number of deleted rows by table.
    """
    values = {"organization": organization}
    with connection.transaction():
        deleted = {table: _delete(connection, table, values) for table in _TABLES}
        # A row of the table `sensor_ticks` lists several organizations, so the row stays and only the name is removed.
        deleted["sensor_ticks"] = connection.execute(statement("purge/sensor_ticks"), values).rowcount
    return deleted


def purge_dagster(connection: Connection, key_prefix: Sequence[str], *, pool: str) -> int:
    """Delete the rows of an organization that remain in Dagster's tables after Dagster has wiped the assets.

    `key_prefix` is the common beginning of the organization's asset keys, and `pool` is the organization's concurrency
    pool. Returns the number of deleted rows, which is 0 if Dagster stores its runs in another database.
    """
    values = {"pattern": _pattern(key_prefix), "pool": pool}
    with connection.transaction():
        existing = dagster_runs.tables(connection)
        return sum(
            connection.execute(
                sql.SQL("delete from {} where ").format(sql.Identifier(dagster_runs.SCHEMA, table))
                + sql.SQL(condition),
                values,
            ).rowcount
            for table, condition in _CONDITIONS.items()
            # If Dagster stores its runs in another database, its tables do not exist here, and a DELETE would fail.
            if table in existing
        )


def _delete(connection: Connection, table: str, values: Mapping[str, str]) -> int:
    query = sql.SQL("delete from {} where organization = %(organization)s").format(sql.Identifier(SCHEMA, table))
    return connection.execute(query, values).rowcount


def _pattern(key_prefix: Sequence[str]) -> str:
    r"""Return a pattern for asset keys as paths (``openai/acme/``) and as JSON (``[\"openai\", \"acme\"``)."""
    return "[^A-Za-z0-9_-]+".join(key_prefix) + "[^A-Za-z0-9_-]"
