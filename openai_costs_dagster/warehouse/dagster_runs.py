"""Reads Dagster's own tables of runs, where they are in the same database as the costs."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


class StoredRun(NamedTuple):
    """A run that has not finished; `body` is Dagster's serialization of it, in JSON."""

    run_id: str
    status: str
    process_tag: str | None
    created_at: dt.datetime
    changed_at: dt.datetime
    body: str


class Queue(NamedTuple):
    """Runs that wait for a daemon, and when a daemon last looked at the queue."""

    length: int
    since: dt.datetime
    daemon_at: dt.datetime | None


def unfinished(connection: Connection) -> list[StoredRun]:
    """All runs that have not finished; none if Dagster's tables are elsewhere."""
    if not _are_here(connection):
        return []
    with connection.cursor(row_factory=class_row(StoredRun)) as cursor:
        return cursor.execute(statement("unfinished_runs")).fetchall()


def queue(connection: Connection) -> Queue | None:
    """The queued runs; None if there are none."""
    if not _are_here(connection):
        return None
    with connection.cursor(row_factory=class_row(Queue)) as cursor:
        found = cursor.execute(statement("queued_runs")).fetchone()
    return found if found and found.length else None


def _are_here(connection: Connection) -> bool:
    tables = {name for (name,) in connection.execute(statement("dagster_tables")).fetchall()}
    return {"runs", "run_tags", "daemon_heartbeats"} <= tables
