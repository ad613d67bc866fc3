"""Takes an organization out of the warehouse for good."""

from __future__ import annotations

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_TABLES = (
    "cost_rows",
    "cost_days",
    "revisions",
    "raw_buckets",
    "readings",
    "projects",
    "refusals",
    "organizations",
)


def purge(connection: Connection, organization: str) -> dict[str, int]:
    """Deletes all that is stored of an organization, in one transaction; returns rows deleted by table."""
    deleted: dict[str, int] = {}
    with connection.transaction():
        for table in _TABLES:
            cursor = connection.execute(statement(f"purge/{table}"), {"organization": organization})
            deleted[table] = cursor.rowcount
    return deleted
