"""Tests of killed backfills: stored days remain complete, and the next backfill stores the remaining days."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import psycopg

from openai_costs_dagster.orchestration.runtime import process_id
from openai_costs_dagster.simulator import SimulatedOrganization

from ..cli.program import Workplace, days_ago, expected_costs, kill_group, until
from ..conftest import ScriptedSimulator
from ..midnight import today
from .conftest import Gate


def first_day() -> dt.date:
    return days_ago(199)


def detail_since() -> dt.date:
    """Return the first day that is served by user, which splits a backfill into two sync windows.

    The newer window has more days than fit on one page. The older window is stored with a coarser grouping.
    """
    return days_ago(190)


def test_repeatedly_killed_backfill_stores_whole_days_and_completes(place: Workplace, api: ScriptedSimulator) -> None:
    organization = SimulatedOrganization(
        organization_id="org-SIMULATEDKILLED",
        api_keys_from=None,
        users_with_projects_served=True,
        users_with_projects_from=detail_since(),
    )
    api.organizations.append(organization)
    place.configure(api, {"killed": organization}, start_date=first_day())
    before = len(place.run_statuses())
    expected = expected_costs(organization, first_day())
    newer = {days_ago(days) for days in range(191)}

    def assert_stored(days: set[dt.date]) -> None:
        assert place.stored_days("killed") == days
        whole = {str(day) for day in days if day < today()}
        assert place.stored("killed") == {key: amount for key, amount in expected.items() if key[0] in whole}

    _kill_when(place, Gate(api, lambda query: "page" in query), "the second page is awaited")
    assert_stored(set())
    with _block_writes(place, "openai_costs.cost_days") as is_waited_for:
        api.script = lambda _: None
        _kill(place, is_waited_for)
    assert_stored(set())
    _kill_when(place, Gate(api, lambda _: bool(place.stored_days("killed"))), "the first window was stored")
    assert_stored(newer)

    api.script = lambda _: None
    finished = place.run("backfill")
    assert finished.code == 0, finished
    assert_stored({first_day() + dt.timedelta(days=number) for number in range(200)})
    assert place.run_statuses()[before:] == ["FAILURE", "FAILURE", "FAILURE", "SUCCESS"]


def test_zombie_process_counts_as_ended() -> None:
    """In a container, the first process often reaps no children, so ended processes remain as zombies."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = psutil.Process(child.pid)
        recorded = process_id.Process.of(process.pid)
        assert str(recorded.state) == "State.RUNNING"
        child.kill()
        until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        assert str(recorded.state) == "State.ENDED"


def _kill_when(place: Workplace, gate: Gate, moment: str) -> None:
    _kill(place, lambda: gate.reached)
    gate.open()


def _kill(place: Workplace, moment: Callable[[], bool]) -> None:
    """Start a backfill, and kill all of its processes as soon as `moment()` is true."""
    with place.started("backfill") as process:
        until(lambda: moment() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        kill_group(process.pid)
    until(lambda: {process.name() for process in place.processes()} == {"postgres"})


@contextmanager
def _block_writes(place: Workplace, table: str) -> Iterator[Callable[[], bool]]:
    """Block all writes to a table, and yield a function that returns whether a writer is waiting for the lock."""
    with psycopg.connect(place.database_url) as connection:
        connection.execute(f"lock table {table} in share mode".encode())
        yield lambda: bool(
            place.sql("select from pg_locks where relation = %s::regclass and not granted", table),
        )
