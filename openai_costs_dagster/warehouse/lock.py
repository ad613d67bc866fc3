"""Locks of organizations: a lease allows one synchronization of an organization at a time, and row locks allow one
transaction at a time.

A lease is a row of the table `leases`, which gives one process an exclusive right for a limited time. The connection of
`organization_lock` checks the lease at the start of each transaction. If the lease has expired, for example because the
machine slept, another process may have stored newer data, so the transaction raises `LeaseLost` and stores nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.rows import TupleRow

from openai_costs_dagster.warehouse import errors, lease
from openai_costs_dagster.warehouse.database import Connection, Database

# If the row exists, `do update` locks the row until the transaction ends. If two transactions insert the same new row
# at once, the unique key makes the second transaction wait for the first.
_LOCK_ROW = """
insert into openai_costs.locks (organization, purpose) values (%(organization)s, %(purpose)s)
on conflict (organization, purpose) do update set purpose = excluded.purpose
"""
_RENEWAL_NAME = "openai-costs lease"
_READ_ONLY = "set default_transaction_read_only = on"
_READ_WRITE = "reset default_transaction_read_only"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 5.0
_PAUSE_GROWTH = 1.5
_REPORT_AGAIN_AFTER_S = 300.0
_LOG = logging.getLogger(__name__)


class LockedConnection(psycopg.Connection[TupleRow]):
    """A database connection that can write only while its process holds a lease.

    `transaction()` checks the lease. Outside of `transaction()` the session is read-only, so PostgreSQL refuses every
    write that would bypass this check.
    """

    _lease: lease.Lease | None = None

    def hold(self, held: lease.Lease) -> None:
        """Make the session read-only outside of `transaction()`, and check the lease `held` in every transaction."""
        self.execute(_READ_ONLY)
        # With `read_only = False`, psycopg begins its transactions with BEGIN READ WRITE, although the session's
        # default is now read-only.
        self.read_only = False
        self._lease = held

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """Begin a transaction, or a savepoint inside an open transaction.

        Raises `LeaseLost` if this process no longer holds its lease. Otherwise the transaction locks the row of the
        lease, so that no other process can take the lease before the transaction ends.
        """
        is_outermost = self.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        with super().transaction(savepoint_name, force_rollback) as transaction:
            if is_outermost and self._lease and not lease.renew(self, self._lease):
                raise errors.LeaseLost(
                    f"the lease {self._lease.name} expired and another process may have taken it over: "
                    "nothing was stored, run it again"
                )
            yield transaction

    def release(self) -> None:
        """End the lease of this connection. Does nothing if the database session has ended, which frees the lease."""
        if self._lease is None:
            return
        with suppress(psycopg.OperationalError):
            # A connection pooler may pass this session on to another client, which must not get a read-only session.
            self.execute(_READ_WRITE)
            lease.release(self, self._lease)


@contextmanager
def organization_lock(
    database: Database,
    organization: str,
    *,
    purpose: str,
    on_wait: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Connection]:
    """Wait until no other process holds the lock of an organization, and yield a connection that holds the lock.

    While another process holds the lock, `on_wait` is called at once and every five minutes, with a message that names
    this process. The lock ends when the connection closes, even if this process is killed.
    """
    purpose, activity = f"openai-costs {organization} {purpose}", f"synchronizes {organization}"
    with _lock(database, f"organization/{organization}", purpose, activity, on_wait, sleep) as connection:
        yield connection


@contextmanager
def dagster_tables_lock(database: Database, *, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock that allows one process at a time to create or migrate Dagster's tables.

    `on_wait` is called with a message while another process holds this lock.
    """
    with _lock(database, "dagster-tables", "openai-costs prepare", "migrates Dagster's tables", on_wait, time.sleep):
        yield


def transaction_lock(connection: Connection, organization: str, purpose: str) -> None:
    """Lock the row of an organization and purpose in the table `locks` until the current transaction ends.

    Waits if another transaction has locked the same row.
    """
    connection.execute(_LOCK_ROW, {"organization": organization, "purpose": purpose})


@contextmanager
def _lock(
    database: Database,
    name: str,
    purpose: str,
    activity: str,
    on_wait: Callable[[str], None],
    sleep: Callable[[float], None],
) -> Iterator[Connection]:
    with database.connect_as(LockedConnection, name=purpose) as connection:
        held = _acquired(connection, name, purpose, activity, on_wait, sleep)
        connection.hold(held)
        try:
            with lease.renewing(lambda: _renew(database, held)):
                yield connection
        finally:
            connection.release()


def _acquired(
    connection: Connection,
    name: str,
    purpose: str,
    activity: str,
    on_wait: Callable[[str], None],
    sleep: Callable[[float], None],
) -> lease.Lease:
    """Wait until the lease `name` is free, take it and return it."""
    pause_s, waited_s, report_at_s = _FIRST_PAUSE_S, 0.0, 0.0
    while not (held := lease.acquire(connection, name, purpose, ends_with_session=True)):
        holder = lease.holder(connection, name)
        if holder is None:  # The other process has just released the lease, so this process tries again.
            continue
        if waited_s >= report_at_s:
            report_at_s = waited_s + _REPORT_AGAIN_AFTER_S
            since = f"{holder.acquired_at:%Y-%m-%d %H:%M:%S} UTC"
            on_wait(f"another process {activity}: {holder.owner}, since {since}; waiting for it")
        sleep(pause_s)
        waited_s += pause_s
        pause_s = min(pause_s * _PAUSE_GROWTH, _LONGEST_PAUSE_S)
    return held


def _renew(database: Database, held: lease.Lease) -> None:
    # The connection that holds the lock is in use by the thread that synchronizes, so the renewal opens a connection of
    # its own. A synchronization that ends before the first renewal never opens it.
    with database.connect(name=_RENEWAL_NAME) as connection:
        if not lease.renew(connection, held):
            _LOG.warning(
                "the lease %s was lost: this run stores nothing more, and the next refresh reads its days again",
                held.name,
            )
