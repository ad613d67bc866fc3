"""Reads Dagster's own tables, if Dagster stores its runs in the same database as the costs."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

SCHEMA = "openai_costs_dagster"
"""The schema of Dagster's own tables, if Dagster stores its runs in the same database as the costs."""

_TABLES = "select tablename from pg_catalog.pg_tables where schemaname = %(schema)s"


class StoredRun(NamedTuple):
    """A Dagster run that has not finished. `body` is Dagster's serialized run in JSON. Times are in UTC."""

    run_id: str
    status: str
    process_tag: str | None
    created_at: dt.datetime
    changed_at: dt.datetime
    body: str


class Queue(NamedTuple):
    """The queue of Dagster runs.

    `length` is the number of queued runs, `since` the time from which the oldest queued run has waited, and `daemon_at`
    the latest heartbeat of a Dagster daemon that starts queued runs.
    """

    length: int
    since: dt.datetime
    daemon_at: dt.datetime | None


def tables(connection: Connection) -> set[str]:
    """Return the names of Dagster's tables in this database. Empty if Dagster stores its runs in another database."""
    return {name for (name,) in connection.execute(_TABLES, {"schema": SCHEMA})}


def unfinished(connection: Connection) -> list[StoredRun]:
    """Return all Dagster runs that have not finished. Empty if Dagster stores its runs in another database."""
    if not _has_runs(connection):
        return []
    with connection.cursor(row_factory=class_row(StoredRun)) as cursor:
        return cursor.execute(statement("dagster/unfinished_runs")).fetchall()


def queue(connection: Connection) -> Queue | None:
    """Return the state of Dagster's run queue, or None if no run is queued or Dagster uses another database."""
    if not _has_runs(connection):
        return None
    with connection.cursor(row_factory=class_row(Queue)) as cursor:
        found = cursor.execute(statement("dagster/queued_runs")).fetchone()
    return found if found and found.length else None


def _has_runs(connection: Connection) -> bool:
    # Dagster's tables are missing until Dagster first starts, and also if the user's own DAGSTER_HOME configures
    # another database. A query of missing tables would fail.
    return {"runs", "run_tags", "daemon_heartbeats"} <= tables(connection)
