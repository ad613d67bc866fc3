"""Read access to Dagster's own tables, if Dagster stores its runs in the database of the costs."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

SCHEMA = "openai_costs_dagster"
"""The schema of Dagster's tables, if Dagster's storage is in the database of the costs."""

_TABLES = "select tablename from pg_catalog.pg_tables where schemaname = %(schema)s"


class StoredRun(NamedTuple):
    """An unfinished run. `body` is the run as serialized by Dagster, in JSON; times are in UTC."""

    run_id: str
    status: str
    process_tag: str | None
    created_at: dt.datetime
    changed_at: dt.datetime
    body: str


class Queue(NamedTuple):
    """The queued runs: their number, the start of the longest wait, and the latest heartbeat of a queue daemon."""

    length: int
    since: dt.datetime
    daemon_at: dt.datetime | None


def tables(connection: Connection) -> set[str]:
    """Return the names of Dagster's tables; empty if Dagster's storage is in another database."""
    return {name for (name,) in connection.execute(_TABLES, {"schema": SCHEMA})}


def unfinished(connection: Connection) -> list[StoredRun]:
    """Return all unfinished runs; empty if Dagster's storage is in another database."""
    if not _has_runs(connection):
        return []
    with connection.cursor(row_factory=class_row(StoredRun)) as cursor:
        return cursor.execute(statement("dagster/unfinished_runs")).fetchall()


def queue(connection: Connection) -> Queue | None:
    """Return the queued runs, or None if no run is queued."""
    if not _has_runs(connection):
        return None
    with connection.cursor(row_factory=class_row(Queue)) as cursor:
        found = cursor.execute(statement("dagster/queued_runs")).fetchone()
    return found if found and found.length else None


def _has_runs(connection: Connection) -> bool:
    # Dagster's tables are missing before their creation, or if a DAGSTER_HOME of the user names another database.
    return {"runs", "run_tags", "daemon_heartbeats"} <= tables(connection)
