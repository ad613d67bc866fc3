"""Tests that a reader of the database cannot block a sync, an alert or a command with locks or open transactions."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from importlib import resources
from pathlib import Path

import psycopg
import pytest

from openai_costs_dagster.alerts import delivery
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.usage_records import OPERATIONS
from openai_costs_dagster.warehouse import allocations, directory, lock, organizations, outbox, usage
from openai_costs_dagster.warehouse.schema import metadata
from openai_costs_dagster.warehouse.statements import view_names
from openai_costs_dagster.warehouse.usage import UsageDay, UsageWindow

from ..alerts.conftest import sample_alert
from ..conftest import NOW
from ..installation import Installation
from ..warehouse.windows import DAY, row, store, stored
from .conftest import RunCommand

EMPTY_DAY = UsageDay(DAY, [], b"{}")
OLD_KEYS = ("organization/acme", "allocation/acme", "alerts/acme", "migration")
MODES = (
    "access share",
    "row share",
    "row exclusive",
    "share update exclusive",
    "share",
    "share row exclusive",
    "exclusive",
    "access exclusive",
)
"""The lock modes of `LOCK TABLE`."""
ROW_LOCKS = ("key share", "share", "no key update", "update")
"""The lock modes of `SELECT ... FOR`."""


def attempt(connection: psycopg.Connection, statement: str) -> None:
    """Execute a statement in the open transaction, which stays usable if PostgreSQL refuses the statement."""
    connection.execute("savepoint before")
    try:
        connection.execute(statement.encode())
    except psycopg.Error:
        connection.execute("rollback to before")


@pytest.fixture(params=[False, True], ids=["all organizations", "by organization"])
def attacked(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """A database in which an open transaction of a reader holds every lock that PostgreSQL grants to the reader."""
    installation: Installation = request.getfixturevalue("by_organization" if request.param else "installed")
    reader = installation.make_reader("an_attacker", *(("*",) if request.param else ()))
    tables = [*(table.name for table in metadata.sorted_tables), "alembic_version"]
    with ExitStack() as stack:
        connection = stack.enter_context(psycopg.connect(reader.url))
        connection.execute("set default_transaction_read_only = off")
        connection.execute("set statement_timeout = 0")
        connection.execute("set idle_in_transaction_session_timeout = 0")
        connection.execute("set lock_timeout = '2s'")
        connection.commit()
        connection.execute("begin isolation level repeatable read")
        for key in OLD_KEYS:
            connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [f"openai_costs/{key}"])
        for name in (*tables, *view_names()):
            attempt(connection, f"table openai_costs.{name}")
            for mode in ROW_LOCKS:
                attempt(connection, f"select * from openai_costs.{name} for {mode}")  # noqa: S608
            for mode in MODES:
                attempt(connection, f"lock table openai_costs.{name} in {mode} mode")
        held = installation.query(
            "select mode, count(*) from pg_locks join pg_stat_activity using (pid)"
            " where usename = 'an_attacker' and relation is not null group by 1"
        )
        assert [mode for mode, _ in held] == ["AccessShareLock"]
        assert held[0][1] > len(view_names())
        yield installation
        # This statement fails if a limit has ended the session, and the test would then prove nothing.
        connection.execute("select 1")


@pytest.mark.timeout(60)
def test_open_transaction_of_a_reader_blocks_no_loading_alerts_or_commands(
    attacked: Installation, run_command: RunCommand
) -> None:
    with lock.organization_lock(attacked.loader, "acme", purpose="costs", on_wait=pytest.fail) as connection:
        organizations.register(connection, "acme", display_name=None, start_date=DAY)
        store(connection, {DAY: [row("1.5")]})
        usage.store(
            connection, UsageWindow("acme", OPERATIONS[0], DayRange(DAY, DAY), (), NOW, frozenset()), [EMPTY_DAY]
        )
        directory.store_entries(connection, "acme", [directory.Entry("project", "proj_a", "Search")], NOW)
        directory.mark_gone(connection, "acme", "project", NOW)
    with attacked.loader.connect() as connection:
        shared = allocations.DayAllocation(1, [], Decimal(1), Decimal(1), Decimal(0), [])
        allocations.store(connection, "acme", {DAY: shared}, NOW)
        with connection.transaction():
            outbox.lock(connection, "acme")
            outbox.record(connection, sample_alert("one"), NOW)
        assert stored(connection) == {DAY: [row("1.5")]}
    assert delivery.route(attacked.loader, [], NOW, dt.timedelta(0)) == 1
    key = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}
    assert run_command("prepare", DATABASE_URL=attacked.owner.url, **key).code == 0
    assert run_command("prepare", DATABASE_URL=attacked.owner.url, **key).code == 0
    assert run_command("status", DATABASE_URL=attacked.loader.url, **key).code in {0, 1}


def test_package_takes_no_advisory_lock() -> None:
    """Advisory locks need no privilege, so any role could take such a lock and block the package."""
    package = Path(str(resources.files("openai_costs_dagster")))
    files = [file for file in package.rglob("*") if file.suffix in {".py", ".sql"}]
    assert len(files) > 100
    assert [file for file in files if re.search(r"pg_(try_)?advisory", file.read_text(encoding="utf-8"))] == []
