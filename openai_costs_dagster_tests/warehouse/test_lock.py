"""Tests of the lock of an organization: a second process waits and names the holder, but not if the holder is dead."""

import threading

import pytest

from openai_costs_dagster.warehouse import lock
from openai_costs_dagster.warehouse.database import Connection, Database


class SecondReader(threading.Thread):
    """A thread that requests the lock of an organization and sets `entered` when it has the lock."""

    def __init__(self, database: Database) -> None:
        super().__init__(daemon=True)
        self.database = database
        self.messages: list[str] = []
        self.entered = threading.Event()

    def run(self) -> None:
        with lock.organization_lock(self.database, "acme", purpose="second", on_wait=self.messages.append):
            self.entered.set()

    def start_and_wait(self, observer: Connection) -> None:
        """Start the thread and return when PostgreSQL reports that it waits for the lock."""
        self.start()
        while not observer.execute("select from pg_locks where locktype = 'advisory' and not granted").fetchall():
            assert self.is_alive()
        assert not self.entered.is_set()


def fail_on_wait(message: str) -> None:
    raise AssertionError(message)


def test_second_holder_waits_and_reports_the_first(database: Database, connection: Connection) -> None:
    second = SecondReader(database)
    with lock.organization_lock(database, "acme", purpose="run 1a2b", on_wait=fail_on_wait):
        second.start_and_wait(connection)
    second.join(30)
    assert second.entered.is_set()
    (sentence,) = second.messages
    assert sentence.startswith("another process synchronizes acme: openai-costs acme run 1a2b, since 20")
    assert sentence.endswith(" UTC; waiting for it")


def test_lock_is_released_when_the_connection_ends(database: Database, connection: Connection) -> None:
    second = SecondReader(database)
    first = lock.organization_lock(database, "acme", purpose="about to die", on_wait=fail_on_wait)
    holder = first.__enter__()
    second.start_and_wait(connection)
    connection.execute("select pg_terminate_backend(%s)", [holder.info.backend_pid])
    second.join(30)
    assert second.entered.is_set()
    first.__exit__(None, None, None)


def test_other_organizations_do_not_wait(database: Database) -> None:
    with (
        lock.organization_lock(database, "acme", purpose="first", on_wait=fail_on_wait),
        lock.organization_lock(database, "acme-2", purpose="second", on_wait=fail_on_wait),
    ):
        pass


def test_lock_is_released_after_an_exception(database: Database) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        lock.organization_lock(database, "acme", purpose="first", on_wait=fail_on_wait),
    ):
        raise ZeroDivisionError
    messages: list[str] = []
    with lock.organization_lock(database, "acme", purpose="second", on_wait=messages.append):
        pass
    assert all(
        "just ending" in sentence for sentence in messages
    )  # PostgreSQL may need a moment to notice the end of the first session
