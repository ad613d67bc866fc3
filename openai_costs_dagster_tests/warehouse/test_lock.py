"""Test the locks: one holder at a time, no lock of a dead or expired holder, and no write without the lock."""

from __future__ import annotations

import functools
import threading
import uuid

import psycopg
import pytest

from openai_costs_dagster.warehouse import errors, lease, lock, organizations
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.purge import purge

from ..conftest import NOW
from .windows import DAY, everything, row, store, stored

EXPIRE = "update openai_costs.leases set expires_at = clock_timestamp() - interval '1 second'"


class SecondProcess(threading.Thread):
    """A thread that stores a day of acme with the lock. Between two attempts it waits until the test calls `finish`."""

    def __init__(self, database: Database) -> None:
        super().__init__(daemon=True)
        self.database = database
        self.messages: list[str] = []
        self.pauses: list[float] = []
        self.waits, self.tries_again = threading.Event(), threading.Event()
        self.has_stored = False

    def run(self) -> None:
        with lock.organization_lock(
            self.database, "acme", purpose="second", on_wait=self.messages.append, sleep=self.sleep
        ) as connection:
            store(connection, {DAY: [row("2")]})
            self.has_stored = True

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) == 100:
            self.waits.set()
            self.tries_again.wait(30)

    def start_and_wait(self) -> None:
        """Start the thread and return after a hundred attempts."""
        self.start()
        assert self.waits.wait(30)
        assert not self.has_stored

    def finish(self) -> None:
        self.tries_again.set()
        self.join(30)
        assert self.has_stored


def fail_on_wait(message: str) -> None:
    raise AssertionError(message)


def test_second_holder_waits_and_reports_the_first_every_five_minutes(database: Database) -> None:
    second = SecondProcess(database)
    with lock.organization_lock(database, "acme", purpose="run 1a2b", on_wait=fail_on_wait):
        second.start_and_wait()
    second.finish()
    assert second.messages[0].startswith("another process synchronizes acme: openai-costs acme run 1a2b (process ")
    assert second.messages[0].endswith(" UTC; waiting for it")
    assert (second.pauses[0], max(second.pauses)) == (1, 5)
    assert len(second.messages) == 1 + sum(second.pauses) // 300


def test_lock_of_an_ended_session_is_free_at_once(database: Database, connection: Connection) -> None:
    second = SecondProcess(database)
    first = lock.organization_lock(database, "acme", purpose="about to die", on_wait=fail_on_wait)
    holder = first.__enter__()
    second.start_and_wait()
    connection.execute("select pg_terminate_backend(%s)", [holder.info.backend_pid])
    second.finish()
    first.__exit__(None, None, None)
    assert connection.execute("select from openai_costs.leases").fetchall() == []


def test_other_organizations_do_not_wait_and_a_failure_releases_the_lock(database: Database) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        lock.organization_lock(database, "acme", purpose="first", on_wait=fail_on_wait),
        lock.organization_lock(database, "acme-2", purpose="second", on_wait=fail_on_wait),
    ):
        raise ZeroDivisionError
    with lock.organization_lock(database, "acme", purpose="second", on_wait=fail_on_wait):
        pass


def test_holder_of_a_lost_lease_stores_nothing(
    database: Database, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with lock.organization_lock(database, "acme", purpose="asleep", on_wait=fail_on_wait) as first:
        store(first, {DAY: [row("1")]})
        connection.execute(EXPIRE)
        second = SecondProcess(database)
        second.tries_again.set()
        second.start()
        second.join(30)
        before = everything(connection)
        with pytest.raises(errors.LeaseLost, match="nothing was stored"):
            store(first, {DAY: [row("3")]})
        with pytest.raises(errors.LeaseLost):
            purge(first, "acme")
        lock._renew(database, lease.Lease("organization/acme", uuid.uuid4()))
        with lock.organization_lock(database, "acme", purpose="third", on_wait=fail_on_wait):
            pass
    assert second.messages == []
    assert stored(connection) == {DAY: [row("2")]}
    assert everything(connection) == before
    assert "the lease organization/acme was lost" in caplog.text


def test_expired_lease_is_not_taken_while_its_holder_stores(database: Database, connection: Connection) -> None:
    with lock.organization_lock(database, "acme", purpose="slow", on_wait=fail_on_wait) as first:
        second = SecondProcess(database)
        with first.transaction():
            # The row is locked by this transaction, so only the transaction itself can let the lease expire.
            first.execute(EXPIRE)
            store(first, {DAY: [row("1")]})
            with database.connect() as other:
                attempt = lease.acquire(other, "organization/acme", "thief", ends_with_session=True)
            assert attempt is None
        second.tries_again.set()
        second.start()
        second.join(30)
    assert stored(connection) == {DAY: [row("2")]}


def test_renewal_keeps_a_lease_and_survives_failures(
    database: Database, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    renewed = threading.Event()
    outcomes = iter([errors.DatabaseUnavailable("down"), psycopg.errors.UndefinedTable("gone"), None])

    held = lease.acquire(connection, "organization/acme", "long", ends_with_session=True)
    assert held
    renew_it = functools.partial(lock._renew, database, held)

    def renewal() -> None:
        if error := next(outcomes, None):
            raise error
        renew_it()
        renewed.set()

    connection.execute(EXPIRE)
    with lease.renewing(renewal, interval_s=0.001):
        assert renewed.wait(30)
    assert caplog.text.count("could not be renewed now") == 2
    with database.connect() as other:
        assert lease.acquire(other, "organization/acme", "thief", ends_with_session=True) is None


def test_statements_outside_of_transactions_cannot_write(database: Database) -> None:
    with (
        pytest.raises(errors.DatabaseRefused, match="read-only transaction"),
        lock.organization_lock(database, "acme", purpose="first", on_wait=fail_on_wait) as connection,
    ):
        organizations.record_success(connection, "acme", NOW)


def test_transaction_lock_waits_for_the_first_insertion(database: Database, connection: Connection) -> None:
    entered = threading.Event()

    def second() -> None:
        with database.connect(name="second") as own, own.transaction():
            lock.transaction_lock(own, "acme", "alerts")
            entered.set()

    thread = threading.Thread(target=second, daemon=True)
    with connection.transaction():
        lock.transaction_lock(connection, "acme", "alerts")
        lock.transaction_lock(connection, "acme", "allocation")
        thread.start()
        with database.connect() as observer:
            while not observer.execute("select from pg_locks where not granted").fetchall():
                assert thread.is_alive()
        assert not entered.is_set()
    assert entered.wait(30)
    thread.join(30)
