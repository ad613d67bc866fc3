"""Locks of organizations: a lease that allows one synchronization at a time, and row locks of single transactions.

`organization_lock` yields a connection whose transactions check the lease before they store anything. If the lease has
expired meanwhile, for example because the machine slept, another process may have stored newer days. The transaction
then raises `LeaseLost`.
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

# The update locks the row until the transaction ends. A concurrent first insertion waits for this transaction as well.
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
    """A connection that stores only while its process holds a lease.

    Statements outside of `transaction()` cannot change tables: PostgreSQL refuses them, so no write can miss the check.
    """

    _lease: lease.Lease | None = None

    def hold(self, held: lease.Lease) -> None:
        """Check this lease in every transaction from now on."""
        self.execute(_READ_ONLY)
        self.read_only = False  # Transactions of `transaction()` begin with BEGIN READ WRITE.
        self._lease = held

    @contextmanager
    def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> Iterator[psycopg.Transaction]:
        """Begin a transaction, or a savepoint in one. Raises `LeaseLost` if another process may hold the lease.

        No other process can take the lease before the transaction ends.
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
        """End the lease, if the session still exists. The lease of an ended session is free anyway."""
        if self._lease is None:
            return
        with suppress(psycopg.OperationalError):
            # A pooler may pass the session on to another client.
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
    """Yield a connection that holds the lock of an organization, after waiting for other holders.

    Before waiting, `on_wait` is called with a message that names the holder, and again every five minutes. The lock
    ends with the connection, even if this process is killed.
    """
    purpose, activity = f"openai-costs {organization} {purpose}", f"synchronizes {organization}"
    with _lock(database, f"organization/{organization}", purpose, activity, on_wait, sleep) as connection:
        yield connection


@contextmanager
def dagster_tables_lock(database: Database, *, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Allow one process at a time to create or migrate Dagster's tables. `on_wait` as for `organization_lock`."""
    with _lock(database, "dagster-tables", "openai-costs prepare", "migrates Dagster's tables", on_wait, time.sleep):
        yield


def transaction_lock(connection: Connection, organization: str, purpose: str) -> None:
    """Wait until no other transaction holds the lock of an organization for a purpose; hold it until this one ends."""
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
    """Return a lease, after waiting for other holders."""
    pause_s, waited_s, report_at_s = _FIRST_PAUSE_S, 0.0, 0.0
    while not (held := lease.acquire(connection, name, purpose, ends_with_session=True)):
        holder = lease.holder(connection, name)
        if holder is None:  # The holder released the lease between the attempt and this query.
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
    # The connection of the lock is busy in another thread, and short synchronizations never need this one.
    with database.connect(name=_RENEWAL_NAME) as connection:
        if not lease.renew(connection, held):
            _LOG.warning(
                "the lease %s was lost: this run stores nothing more, and the next refresh reads its days again",
                held.name,
            )
