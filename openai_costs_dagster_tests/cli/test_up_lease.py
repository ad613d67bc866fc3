"""Tests of the lease that allows only one `openai-costs up` process for each database."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.cli.up_lease import _Holding, only_up
from openai_costs_dagster.orchestration.runtime.process_id import Process
from openai_costs_dagster.warehouse import lease
from openai_costs_dagster.warehouse.database import Connection, Database

from .conftest import RunCommand

HOLD = """
import os, time
from openai_costs_dagster.cli.up_lease import only_up
from openai_costs_dagster.warehouse.database import Database
with only_up(Database(os.environ["DATABASE_URL"])):
    print("holding", flush=True)
    time.sleep(600)
"""


def acquire_elsewhere(connection: Connection) -> None:
    """Acquire the lease named `up` for a process on another host."""
    own = Process.of()
    process = dataclasses.replace(own, place=dataclasses.replace(own.place, host="elsewhere", boot="another"))
    assert lease.acquire(connection, "up", "openai-costs up", ends_with_session=False, process=str(process))


def test_second_up_on_the_database_exits_with_2_and_names_the_first(
    run_command: RunCommand, database: Database, tmp_path: Path
) -> None:
    with only_up(database):
        finished = run_command("up", OPENAI_ADMIN_KEY="sk-admin-simulated-acme", DATABASE_URL=database.url)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.startswith(f"openai-costs: another openai-costs up (process {os.getpid()} on ")
    assert finished.err.endswith(" UTC: stop it there\n")
    assert finished.err.count("\n") == 1
    with only_up(database):
        pass


def test_lease_of_a_killed_up_on_this_host_is_acquired_at_once(database: Database) -> None:
    with subprocess.Popen(  # noqa: S603  # our own text
        [sys.executable, "-c", HOLD],
        env={**os.environ, "DATABASE_URL": database.url},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "holding\n"
        with pytest.raises(InputMistake, match=f"process {process.pid} on "), only_up(database):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    with only_up(database):
        pass


def test_lease_of_another_host_is_acquired_after_it_expires(database: Database, connection: Connection) -> None:
    acquire_elsewhere(connection)
    with (
        pytest.raises(InputMistake, match=r"if that host is gone, try again after \d\d:\d\d:\d\d UTC"),
        only_up(database),
    ):
        pass
    connection.execute("update openai_costs.leases set expires_at = clock_timestamp()")
    with only_up(database):
        pass


def test_lost_lease_is_reported_once_and_acquired_again(
    database: Database, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    first = lease.acquire(connection, "up", "openai-costs up", ends_with_session=False, process=str(Process.of()))
    assert first
    holding = _Holding(database, first)
    # A lease that expired while the database was down can still be renewed if no other process acquired the lease.
    connection.execute("update openai_costs.leases set expires_at = clock_timestamp() - interval '1 hour'")
    holding.renew()
    assert connection.execute("select expires_at > clock_timestamp() from openai_costs.leases").fetchone() == (True,)
    lease.release(connection, first)
    acquire_elsewhere(connection)
    for _ in range(2):
        holding.renew()
    assert caplog.text.count("starts runs twice") == 1
    connection.execute("update openai_costs.leases set expires_at = clock_timestamp() - interval '1 hour'")
    holding.renew()
    holder = lease.holder(connection, "up")
    assert holder
    assert holder.process == str(Process.of())
    holding.release()
    assert lease.holder(connection, "up") is None
