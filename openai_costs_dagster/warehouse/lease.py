"""Leases: rows of the table `leases`, each of which gives one process an exclusive right for a limited time.

A lease ends when its process releases it, ends, or stops renewing it. The clock of the database server decides when a
lease expires. PostgreSQL's advisory locks would be simpler, but every database role may take an advisory lock and could
block synchronization with it. Roles that may only read have no privileges on the table `leases`
(docs/decisions/0036-leases.md).
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import platform
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.errors import WarehouseError
from openai_costs_dagster.warehouse.statements import statement

DURATION = dt.timedelta(minutes=2)
"""The time after which a lease expires unless its process renews it."""

RENEWAL_INTERVAL_S = 30.0
_LAST_RENEWAL_TIMEOUT_S = 5.0
_LOG = logging.getLogger(__name__)


class Lease(NamedTuple):
    """A lease that this process has taken. `token` differs from the tokens of all other leases of the same name."""

    name: str
    token: uuid.UUID


class Holder(NamedTuple):
    """The row of a lease, with the process that holds the lease. Both times are by the database server's clock."""

    owner: str
    process: str | None
    token: uuid.UUID
    acquired_at: dt.datetime
    expires_at: dt.datetime


def owner(purpose: str) -> str:
    """Return a description of this process: purpose, process id and host.

    Another process shows this description while it waits for a lease of this process.
    """
    return f"{purpose} (process {os.getpid()} on {platform.node()})"


def acquire(
    connection: Connection, name: str, purpose: str, *, ends_with_session: bool, process: str | None = None
) -> Lease | None:
    """Take the lease `name` if it is free, and return it. Return None if another process holds the lease. Never waits.

    With `ends_with_session`, the lease is free as soon as the database session of `connection` ends, for example
    because this process was killed. Other processes on the same host can recognize this process by `process`.
    """
    values = {
        "name": name,
        "owner": owner(purpose),
        "process": process,
        "ends_with_session": ends_with_session,
        "duration": DURATION,
    }
    # The first statement inserts the row of the lease, which is nearly always sufficient. Only if the row exists, the
    # second statement takes over an expired lease. PostgreSQL needs longer to plan the second statement.
    for query in ("session/insert_lease", "session/take_over_lease"):
        if row := connection.execute(statement(query), values).fetchone():
            return Lease(name, row[0])
    return None


def renew(connection: Connection, lease: Lease) -> bool:
    """Postpone the expiry of a lease. Return False if this process no longer holds the lease.

    In a transaction, the update also locks the row of the lease, so that no other process can take the lease before the
    transaction ends.
    """
    return connection.execute(statement("session/renew_lease"), {**lease._asdict(), "duration": DURATION}).rowcount > 0


def release(connection: Connection, lease: Lease) -> None:
    """End a lease, so that another process can take it. Does nothing if another process has already taken the lease."""
    connection.execute(statement("session/release_lease"), lease._asdict())


def holder(connection: Connection, name: str) -> Holder | None:
    """Return the row of the lease `name`, even if the lease has expired. Return None if no such row exists."""
    row = connection.execute(statement("session/lease_holder"), {"name": name}).fetchone()
    return Holder._make(row) if row else None


@contextmanager
def renewing(renewal: Callable[[], None], *, interval_s: float = RENEWAL_INTERVAL_S) -> Iterator[None]:
    """Call `renewal` every `interval_s` seconds in a separate thread while the `with` block runs.

    If the database fails, the error is logged, and the next call follows after the usual interval.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(interval_s):
            try:
                renewal()
            except (WarehouseError, psycopg.Error) as error:
                _LOG.warning("a lease could not be renewed now, the next attempt is in %d s: %s", interval_s, error)

    # Python waits for ordinary threads before a process ends. A renewal may wait long for a lost network connection, so
    # its thread is a daemon thread, for which Python does not wait.
    thread = threading.Thread(target=run, name="openai-costs lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_LAST_RENEWAL_TIMEOUT_S)
