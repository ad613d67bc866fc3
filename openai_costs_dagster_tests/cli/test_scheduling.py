"""Tests of the sensors in `status`, which fails if the last tick is older than five intervals."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from openai_costs_dagster.cli.scheduling import Scheduling, as_json, print_scheduling, scheduling
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.sensor_ticks import DeadRun, SensorTick

from ..conftest import NOW, Configure
from .conftest import RunCommand

DAY = NOW.date() - dt.timedelta(days=1)


@pytest.fixture
def evaluate(database: Database, configure: Configure) -> Callable[..., Scheduling]:
    def evaluated(*names: str, **settings: Any) -> Scheduling:
        return scheduling(configured(configure, *names, **settings), database, NOW)

    return evaluated


def configured(configure: Configure, *names: str, **settings: Any) -> Configuration:
    return configure(
        *(Organization(name=name, admin_key=SecretReference(env=f"KEY_{name}")) for name in names or ("acme",)),
        **settings,
    )


def tick(database: Database, sensor: str, seconds_ago: float, **values: Any) -> None:
    given = {"location": "openai_costs", "host": "one", "organizations": ["acme"], "interval_seconds": 15, **values}
    at = NOW - dt.timedelta(seconds=seconds_ago)
    with database.connect() as connection:
        sensor_ticks.record_tick(connection, SensorTick(sensor=sensor, last_tick_at=at, **given))


def test_ticking_sensors_are_healthy(database: Database, evaluate: Callable[..., Scheduling]) -> None:
    tick(database, "openai_costs_alerts", 75)
    tick(database, "openai_costs_refresh", 149, interval_seconds=30)
    found = evaluate()
    assert (found.is_scheduled, found.problems, found.notes) == (True, [], [])
    assert [sensor.tick.sensor for sensor in found.sensors] == ["openai_costs_alerts", "openai_costs_refresh"]


def test_tick_older_than_five_intervals_is_a_problem(database: Database, evaluate: Callable[..., Scheduling]) -> None:
    tick(database, "openai_costs_alerts", 76)
    (problem,) = evaluate().problems
    assert problem == (
        "openai_costs_alerts last ran 76 s ago and should run every 15 s, in the code location openai_costs on one: "
        "is openai-costs up or Dagster's daemon running, and is the sensor switched on?"
    )


def test_failed_ticks_do_not_count_and_their_error_is_shown(
    database: Database, evaluate: Callable[..., Scheduling]
) -> None:
    tick(database, "openai_costs_late_days", 3600)
    with database.connect() as connection:
        key = sensor_ticks.Sensor("openai_costs", "one", "openai_costs_late_days")
        sensor_ticks.record_error(connection, key, "a table is locked")
    (problem,) = evaluate().problems
    assert "last ran 60 min ago" in problem
    assert "(its last tick failed: a table is locked)" in problem


def test_sensors_without_ticks_are_a_note_and_no_problem(evaluate: Callable[..., Scheduling]) -> None:
    found = evaluate()
    assert (found.is_scheduled, found.problems) == (False, [])
    assert found.notes == [
        "nothing is scheduled yet: no sensor has run for these organizations; openai-costs up runs them"
    ]


def test_automation_off_is_a_note_despite_earlier_ticks(
    database: Database, evaluate: Callable[..., Scheduling]
) -> None:
    tick(database, "openai_costs_alerts", 86_400)
    found = evaluate(automation=False)
    assert (found.is_scheduled, found.problems) == (False, [])
    assert found.notes == ["nothing is scheduled: automation is false, so your own schedules refresh"]


def test_each_organization_is_evaluated_by_its_code_location(
    database: Database, evaluate: Callable[..., Scheduling]
) -> None:
    tick(database, "openai_costs_alerts", 10)
    tick(database, "openai_costs_alerts", 9999, location="another", organizations=["beta"], host="two")
    assert evaluate("acme").problems == []
    (problem,) = evaluate("acme", "beta").problems
    assert "in the code location another on two" in problem


def test_renamed_or_moved_location_is_not_evaluated(database: Database, evaluate: Callable[..., Scheduling]) -> None:
    tick(database, "openai_costs_alerts", 9999, host="before")
    tick(database, "openai_costs_alerts", 9999, location="before")
    tick(database, "openai_costs_alerts", 10)
    found = evaluate()
    assert found.problems == []
    assert [sensor.tick.host for sensor in found.sensors] == ["one"]


def test_organization_without_a_sensor_is_a_problem(database: Database, evaluate: Callable[..., Scheduling]) -> None:
    tick(database, "openai_costs_alerts", 10)
    assert evaluate("acme", "new").problems == [
        "no sensor covers new: restart openai-costs up, or reload the code location in Dagster"
    ]


def test_dead_runs_of_the_last_day_are_shown_and_are_no_problem(
    database: Database, evaluate: Callable[..., Scheduling], capsys: pytest.CaptureFixture[str]
) -> None:
    with database.connect() as connection:
        for name, hours in (("acme", 1), ("other", 1), ("acme", 25)):
            died = DeadRun(f"{hours:08}{name}", name, NOW - dt.timedelta(hours=hours), "its process is gone", True)
            sensor_ticks.record_dead_run(connection, died)
    found = evaluate()
    assert found.problems == []
    print_scheduling(found)
    shown = [line for line in capsys.readouterr().out.splitlines() if "died" in line]
    assert shown == ["acme: run 00000001 died at 2026-03-11 13:30:00 UTC and is retried: its process is gone"]


def test_heartbeat_is_shown_and_is_a_problem_after_five_failed_attempts(
    database: Database, evaluate: Callable[..., Scheduling]
) -> None:
    address = SecretReference(env="HEARTBEAT")
    assert evaluate(heartbeat_url=address).notes[-1].startswith("no heartbeat was sent yet")
    with database.connect() as connection:
        for attempt in range(1, 6):
            claimed = sensor_ticks.claim_heartbeat(connection, "openai_costs", str(address), DAY, NOW, NOW)
            assert claimed == attempt
            sensor_ticks.record_heartbeat(
                connection, "openai_costs", str(address), DAY, due_at=NOW, delivered_at=None, error="it answered 500"
            )
            failed = evaluate(heartbeat_url=address)
            message = f"the heartbeat for {DAY} could not be sent in {attempt} attempts: it answered 500"
            assert message in (failed.problems if attempt == 5 else failed.notes)
        sensor_ticks.record_heartbeat(
            connection, "openai_costs", str(address), DAY, due_at=NOW, delivered_at=NOW, error=None
        )
    assert evaluate(heartbeat_url=address).notes[-1] == f"the heartbeat for {DAY} was sent at 2026-03-11 14:30:00 UTC"


def test_json_contains_every_tick(database: Database, evaluate: Callable[..., Scheduling]) -> None:
    tick(database, "openai_costs_alerts", 76)
    document = json.loads(json.dumps(as_json(evaluate())))
    assert document["scheduled"] is True
    (sensor,) = document["sensors"]
    assert (sensor["sensor"], sensor["late"], sensor["interval_seconds"]) == ("openai_costs_alerts", True, 15)
    assert sensor["last_tick_at"] == "2026-03-11T14:28:44+00:00"
    assert len(document["problems"]) == 1


def test_status_fails_for_a_late_sensor(run_command: RunCommand, database: Database) -> None:
    tick(database, "openai_costs_alerts", 0, organizations=["default"])  # `NOW` is long before the real time
    key = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}
    finished = run_command("status", "--json", DATABASE_URL=database.url, **key)
    document = json.loads(finished.out)
    assert finished.code == 1
    assert document["ok"] is False
    assert "openai_costs_alerts last ran" in document["scheduling"]["problems"][0]


def test_evaluating_sensors_does_not_import_dagster() -> None:
    code = "import sys, openai_costs_dagster.cli.scheduling; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
