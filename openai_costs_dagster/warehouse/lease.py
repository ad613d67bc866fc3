"""Leases: rows that give one process an exclusive right until it releases the lease, ends or stops renewing it.

Advisory locks would be simpler, but every role that may connect can take them, whereas readers have no rights on the
table `leases` (docs/decisions/0036-leases.md). The clock of the database server decides when a lease expires.
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
"""The time after which a lease expires that is not renewed."""

RENEWAL_INTERVAL_S = 30.0
_LAST_RENEWAL_TIMEOUT_S = 5.0
_LOG = logging.getLogger(__name__)


class Lease(NamedTuple):
    """An acquired lease. The token distinguishes it from earlier and later leases of the same name."""

    name: str
    token: uuid.UUID


class Holder(NamedTuple):
    """The current row of a lease. Times are times of the database server."""

    owner: str
    process: str | None
    token: uuid.UUID
    acquired_at: dt.datetime
    expires_at: dt.datetime


def owner(purpose: str) -> str:
    """Return the description of this process that other processes show while they wait."""
    return f"{purpose} (process {os.getpid()} on {platform.node()})"


def acquire(
    connection: Connection, name: str, purpose: str, *, ends_with_session: bool, process: str | None = None
) -> Lease | None:
    """Take a lease if it is free, and return None otherwise. Never waits.

    With `ends_with_session`, the lease ends with the session of the connection, so that a killed process keeps nothing.
    `process` is the identity of this process for processes of the same host.
    """
    values = {
        "name": name,
        "owner": owner(purpose),
        "process": process,
        "ends_with_session": ends_with_session,
        "duration": DURATION,
    }
    # Two statements, because the first one nearly always suffices, and the plan of the second one takes longer.
    for query in ("session/insert_lease", "session/take_over_lease"):
        if row := connection.execute(statement(query), values).fetchone():
            return Lease(name, row[0])
    return None


def renew(connection: Connection, lease: Lease) -> bool:
    """Postpone the end of a lease, and return whether this process still holds it.

    In a transaction, this also locks the row: no other process can take the lease before the transaction ends.
    """
    return connection.execute(statement("session/renew_lease"), {**lease._asdict(), "duration": DURATION}).rowcount > 0


def release(connection: Connection, lease: Lease) -> None:
    """End a lease. Does nothing if another process has taken it over."""
    connection.execute(statement("session/release_lease"), lease._asdict())


def holder(connection: Connection, name: str) -> Holder | None:
    """Return the row of a lease, which may have expired, or None if nobody holds it."""
    row = connection.execute(statement("session/lease_holder"), {"name": name}).fetchone()
    return Holder._make(row) if row else None


@contextmanager
def renewing(renewal: Callable[[], None], *, interval_s: float = RENEWAL_INTERVAL_S) -> Iterator[None]:
    """Call `renewal` at regular intervals in a thread, until the end of the block.

    Failures of the database are logged, and the next call follows after the interval.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(interval_s):
            try:
                renewal()
            except (WarehouseError, psycopg.Error) as error:
                _LOG.warning("a lease could not be renewed now, the next attempt is in %d s: %s", interval_s, error)

    # A daemon thread, because a renewal that waits for a lost network must not keep the process from ending.
    thread = threading.Thread(target=run, name="openai-costs lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_LAST_RENEWAL_TIMEOUT_S)
