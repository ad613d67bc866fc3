"""Tests of the supervisor, which restarts services that end or stop responding, with growing pauses."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from openai_costs_dagster.cli.dagster_dev import DagsterDev, recorded_process, stop_recorded_processes
from openai_costs_dagster.cli.dagster_services import (
    HANG_TIMEOUT_S,
    DatabaseService,
    ProcessGroups,
    ProcessService,
    SensorTicks,
    code_server_answers,
    stop_groups,
    webserver_answers,
)
from openai_costs_dagster.cli.errors import DagsterEnded
from openai_costs_dagster.cli.supervisor import (
    MAX_MISSED_ANSWERS,
    SHORT_LIFE_S,
    STABLE_AFTER_S,
    STARTUP_TIMEOUT_S,
    Supervisor,
)
from openai_costs_dagster.cli.webserver_address import WebserverAddress
from openai_costs_dagster.orchestration.runtime.process_id import Process, State
from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.errors import DatabaseUnavailable
from openai_costs_dagster.warehouse.sensor_ticks import SensorTick
from openai_costs_dagster.webserver import SERVER_ID_HEADER

from ..alerts.receiver import receiving
from ..conftest import NOW


@dataclass
class Time:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeService:
    name: str = "the service"
    ended: str | None = None
    is_well: bool = True
    cannot_start: list[Exception] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.calls.append("start")
        if self.cannot_start:
            raise self.cannot_start.pop(0)
        self.ended = None

    def ending(self) -> str | None:
        return self.ended

    def answers(self) -> bool:
        return self.is_well

    def end(self) -> None:
        self.calls.append("end")


@pytest.fixture
def time() -> Time:
    return Time()


def test_healthy_services_are_not_restarted(time: Time) -> None:
    service = FakeService()
    supervisor = Supervisor([service], clock=time)
    for _ in range(100):
        assert supervisor.check() == []
        time.now += 5
    assert service.calls == []


def test_killed_process_is_restarted_at_once(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    killed, other = FakeService("the daemon"), FakeService("the webserver")
    supervisor = Supervisor([killed, other], clock=time)
    killed.ended = "was killed by signal 9"
    assert supervisor.check() == ["the daemon"]
    assert killed.calls == ["end", "start"]
    assert other.calls == []
    assert caplog.messages == ["the daemon was killed by signal 9 and was restarted"]


def test_unresponsive_process_is_restarted_after_three_checks(time: Time) -> None:
    service = FakeService()
    supervisor = Supervisor([service], clock=time)
    service.is_well = False
    assert [supervisor.check() for _ in range(MAX_MISSED_ANSWERS)] == [[], [], ["the service"]]
    assert service.calls == ["end", "start"]


def test_one_missed_response_does_not_restart_a_service(time: Time) -> None:
    service = FakeService()
    supervisor = Supervisor([service], clock=time)
    for is_well in (False, False, True, False, False, True):
        service.is_well = is_well
        assert supervisor.check() == []


def test_restarted_service_has_time_to_load_before_its_first_check(time: Time) -> None:
    service = FakeService(is_well=False)
    supervisor = Supervisor([service], clock=time)
    for _ in range(MAX_MISSED_ANSWERS):
        supervisor.check()
    time.now += STARTUP_TIMEOUT_S - 1
    assert [supervisor.check() for _ in range(10)] == [[]] * 10
    time.now += 2
    for _ in range(MAX_MISSED_ANSWERS):
        supervisor.check()
    assert service.calls == ["end", "start", "end"]


def test_repeatedly_failing_service_is_restarted_with_growing_pauses(time: Time) -> None:
    service = FakeService()
    supervisor = Supervisor([service], database_answers=lambda: False, clock=time)
    restarted = []
    for _ in range(1500):
        service.ended = service.ended or "ended with exit code 1"
        if supervisor.check():
            restarted.append(time.now)
        time.now += 1
    assert restarted[:6] == [0, 6, 17, 38, 79, 160]
    assert restarted[-1] - restarted[-2] == 301


def test_pause_is_reset_after_stable_operation(time: Time) -> None:
    service = FakeService()
    supervisor = Supervisor([service], clock=time)
    for _ in range(4):
        service.ended = "was killed by signal 9"
        supervisor.check()
        time.now += 100
        supervisor.check()
    time.now += STABLE_AFTER_S
    service.ended = "was killed by signal 9"
    assert supervisor.check() == ["the service"]


@pytest.mark.parametrize("error", [OSError("Cannot allocate memory"), DatabaseUnavailable("it does not start")])
def test_service_that_cannot_be_started_now_is_started_later(time: Time, error: Exception) -> None:
    service = FakeService(ended="was killed by signal 9", cannot_start=[error])
    supervisor = Supervisor([service], clock=time)
    assert supervisor.check() == []
    time.now += 5
    assert supervisor.check() == ["the service"]


@pytest.mark.parametrize("database_answers", [True, False])
def test_service_that_ends_after_every_start_is_given_up_if_the_database_is_up(
    time: Time, database_answers: bool
) -> None:
    service = FakeService("the webserver")
    supervisor = Supervisor([service], database_answers=lambda: database_answers, clock=time)

    def end_after_every_start() -> None:
        for _ in range(1000):
            service.ended = service.ended or "ended with exit code 1"
            supervisor.check()
            time.now += 3

    if database_answers:
        with pytest.raises(DagsterEnded, match="the webserver ended with exit code 1 after 5 starts in a row"):
            end_after_every_start()
        assert time.now < 120
    else:
        end_after_every_start()


def test_service_that_works_for_a_while_is_never_given_up(time: Time) -> None:
    service = FakeService()
    supervisor = Supervisor([service], clock=time)
    for _ in range(50):
        service.ended = "was killed by signal 9"
        while not supervisor.check():
            time.now += 1
        time.now += SHORT_LIFE_S


# Real processes


def test_real_process_that_ends_after_every_start_is_given_up(time: Time) -> None:
    groups = ProcessGroups()
    program = ["timeit", "-n1", "-r1", "raise SystemExit"]
    with Path(os.devnull).open("wb") as output:
        service = ProcessService("timer", program, environment={}, output=output, groups=groups, answers=lambda: True)
        service.start()
        supervisor = Supervisor([service], clock=time)

        def supervise() -> None:
            while True:
                os.waitid(os.P_PID, groups.leaders[-1], os.WEXITED | os.WNOWAIT)
                while not supervisor.check():
                    time.now += 10

        with pytest.raises(DagsterEnded, match="timer ended with exit code 1 after 5 starts in a row, and Dagster was"):
            supervise()


def test_killed_process_reports_its_signal_and_restarts() -> None:
    groups = ProcessGroups()
    service = ProcessService(
        "timer",
        ["timeit", "-n1", "-r1", "import time; time.sleep(600)"],
        environment={},
        output=None,
        groups=groups,
        answers=lambda: True,
    )
    service.start()
    assert service.ending() is None
    psutil.Process(groups.leaders[0]).kill()
    os.waitid(os.P_PID, groups.leaders[0], os.WEXITED | os.WNOWAIT)
    assert service.ending() == "was killed by signal 9"
    groups.remove_empty()
    assert not groups.leaders
    service.start()
    leader = groups.leaders[-1]
    service.end()
    assert not psutil.pid_exists(leader)


def test_group_without_its_leader_is_stopped() -> None:
    groups = ProcessGroups()
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as leader:  # noqa: S603
        groups.add(leader.pid)
    groups.remove_empty()
    assert list(groups.leaders) == [leader.pid]
    stop_groups(groups.leaders, timeout_s=2)
    groups.remove_empty()
    assert not groups.leaders


def test_code_server_without_a_process_is_down(tmp_path: Path) -> None:
    assert not code_server_answers(tmp_path / "none.sock")


def test_webserver_of_another_installation_counts_as_down() -> None:
    with receiving() as server:
        url = server.url.removesuffix("/")
        assert not webserver_answers(url, "id-1")
        server.headers[SERVER_ID_HEADER] = "id-2"
        assert not webserver_answers(url, "id-1")
        assert webserver_answers(url, "id-2")


def test_database_that_refuses_connections_is_down(database: Database) -> None:
    started = []
    assert DatabaseService(database, lambda: started.append(1)).answers()
    gone = DatabaseService(Database("postgresql://nobody@127.0.0.1:1/none"), lambda: started.append(1))
    assert not gone.answers()
    gone.start()
    assert started == [1]


# Hanging daemon


def tick(database: Database, at: dt.datetime) -> None:
    with database.connect() as connection:
        sensor_ticks.record_tick(connection, SensorTick("openai_costs", "host", "alerts", ["acme"], 15, at))


def test_daemon_whose_sensors_stop_ticking_is_unresponsive(database: Database, time: Time) -> None:
    ticks = SensorTicks(database, ["openai_costs"], clock=time)
    for number in range(4):
        tick(database, NOW + dt.timedelta(seconds=15 * number))
        assert ticks.are_recent()
        time.now += 15
    time.now += HANG_TIMEOUT_S
    assert not ticks.are_recent()
    ticks.restart()
    time.now += 2 * HANG_TIMEOUT_S
    assert ticks.are_recent()  # No tick since the restart: the sensors may be switched off.


def test_stopped_sensors_do_not_restart_the_daemon(database: Database, time: Time) -> None:
    tick(database, NOW)
    ticks = SensorTicks(database, ["openai_costs"], clock=time)
    for _ in range(10):
        assert ticks.are_recent()
        time.now += HANG_TIMEOUT_S


def test_daemon_is_not_checked_while_the_database_is_down(database: Database, time: Time) -> None:
    ticks = SensorTicks(Database("postgresql://nobody@127.0.0.1:1/none"), ["openai_costs"], clock=time)
    for _ in range(3):
        assert ticks.are_recent()
        time.now += HANG_TIMEOUT_S


# Processes that a killed `up` leaves behind


def state_file_of_killed(folder: Path, groups: dict[int, str]) -> Path:
    """Write the state file of an ended process with its process groups, by the process id of their leaders."""
    state_file = folder / "up.json"
    gone = replace(Process.of(), start="0")
    content = {"pid": gone.pid, "process": str(gone), "host": "127.0.0.1", "port": 3000, "groups": groups}
    state_file.write_text(json.dumps(content), encoding="utf-8")
    return state_file


def test_services_of_a_killed_process_are_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as service:
        state_file = state_file_of_killed(tmp_path, {service.pid: str(Process.of(service.pid))})
        writer = recorded_process(state_file)
        assert writer is not None
        assert writer.state is State.ENDED
        assert stop_recorded_processes(state_file, timeout_s=2)
        assert not psutil.pid_exists(service.pid)
    assert not state_file.exists()
    assert not stop_recorded_processes(state_file)


def test_process_with_the_reused_id_of_a_service_is_not_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as other:
        assert not stop_recorded_processes(
            state_file_of_killed(tmp_path, {other.pid: str(replace(Process.of(other.pid), start="0"))})
        )
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("text", ["", "{}", '{"pid": 1, "process": "1@0"}'])
def test_unreadable_state_file_ends_no_process(tmp_path: Path, text: str) -> None:
    state_file = tmp_path / "up.json"
    state_file.write_text(text, encoding="utf-8")
    assert not stop_recorded_processes(state_file)


def test_full_disk_does_not_end_running_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    results = iter([["a service was restarted"]])
    monkeypatch.setattr(Supervisor, "check", lambda _: next(results))
    monkeypatch.setattr("time.sleep", lambda _: None)
    dagster = DagsterDev(tmp_path / "missing" / "up.json", WebserverAddress("127.0.0.1", 3000))
    with pytest.raises(StopIteration):  # The second check raises, because only one result exists.
        dagster.supervise()
    assert "up.json cannot be written: No such file or directory" in caplog.text
