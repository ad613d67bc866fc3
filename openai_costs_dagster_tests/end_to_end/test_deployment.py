"""Tests of compose.yaml without containers: its commands, health checks and stop signals, with a real PostgreSQL.

Only hosts, ports and paths are replaced. The tests of this file share one deployment and run in the order of the file.
"""

from __future__ import annotations

import datetime as dt
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from openai_costs_dagster.cli.webserver_address import free_port
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from ..cli.program import Workplace, days_ago, expected_costs, is_alive, until, workplace
from ..conftest import Databases, ScriptedSimulator
from ..deployment import FOLDER, PREPARE, SECRETS, by_default, image_environment, ours
from .dagster_intervals import refresh_at_another_time, run_daemons_every_second
from .ui import Dagster


def first_day() -> dt.date:
    return days_ago(5)


def stored_days() -> list[str]:
    return [str(days_ago(days)) for days in range(5, 0, -1)]


SECRET = "4f1c9e7a"  # The admin key and the database password contain this text.


@dataclass
class Deployment:
    """Services of compose.yaml that run as local processes."""

    place: Workplace
    replacements: Mapping[str, str]
    stack: ExitStack
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def localize(self, text: str) -> str:
        """Replace the paths and addresses of compose.yaml by those of the test."""
        for in_compose, local in self.replacements.items():
            text = text.replace(in_compose, local)
        return text

    def start(self, name: str) -> subprocess.Popen[bytes]:
        command = [self.localize(word) for word in ours()[name]["command"]]
        with self.log(name).open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  # our own programs
                command,
                cwd=self.place.folder,
                env=self.place.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes[name] = self.stack.enter_context(process)
        self.stack.callback(process.kill)
        return process

    def is_healthy(self, name: str) -> bool:
        assert self.processes[name].poll() is None, self.log(name).read_text()
        _, *check = (self.localize(word) for word in ours()[name]["healthcheck"]["test"])
        return not subprocess.run(  # noqa: S603  # our own programs
            check, cwd=self.place.folder, env=self.place.environment, capture_output=True, check=False
        ).returncode

    def await_port(self, name: str) -> None:
        """Wait until the port of a service accepts connections. Returns at once if the service has no port."""
        words = [self.localize(word) for word in ours()[name]["command"]]
        if "-p" in words:
            port = int(words[words.index("-p") + 1])
            until(lambda: self.processes[name].poll() is not None or _listens(port))

    def log(self, name: str) -> Path:
        return self.place.folder / f"{name}.log"

    def signal(self, name: str) -> None:
        """Send the stop signal to the first process of a service, as a container engine does."""
        self.processes[name].send_signal(signal.Signals[ours()[name]["stop_signal"]])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Reader(Workplace):
    """A working directory whose database is on another server."""

    url = ""

    @property
    def database_url(self) -> str:
        return self.url


@pytest.fixture(scope="module")
def simulated() -> SimulatedOrganization:
    return SimulatedOrganization(name="acme", organization_id="org-SIMULATEDACME", admin_key=f"sk-admin-{SECRET}")


@pytest.fixture(scope="module")
def simulator(simulated: SimulatedOrganization) -> Iterator[ScriptedSimulator]:
    simulator = ScriptedSimulator([simulated])
    with simulator:
        yield simulator


@pytest.fixture(scope="module")
def deployment(databases: Databases, simulated: SimulatedOrganization, simulator: Simulator) -> Iterator[Deployment]:
    """Copy the files of `deploy/` to a working directory without starting a service."""
    database = databases.new(prepared=False)
    with workplace() as place, ExitStack() as stack:
        reader = Reader.__new__(Reader)
        reader.__dict__.update(place.__dict__)
        reader.url = database.url
        replacements = {
            f"{SECRETS}/": f"{place.folder}/secrets/",
            "/var/lib/openai-costs": f"{place.folder}/data",
            "/app/": f"{place.folder}/",
            "0.0.0.0": "127.0.0.1",  # noqa: S104
            "host: code": "host: 127.0.0.1",
            "4000": str(free_port()),
            "3000": str(free_port()),
        }
        deployment = Deployment(reader, replacements, stack)
        _lay_out(deployment, simulator)
        (place.folder / "secrets" / "database_url").write_text(
            database.url.replace("postgres:@", f"postgres:{SECRET}@")
        )
        (place.folder / "secrets" / "acme_admin_key").write_text(f"{simulated.admin_key}\n")
        yield deployment
    databases.drop(database)


def _lay_out(deployment: Deployment, simulator: Simulator) -> None:
    """Create the files of the image and of the user, and set the environment of the image."""
    folder, localize = deployment.place.folder, deployment.localize
    for name in ("dagster", "config", "secrets", "data"):
        (folder / name).mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        (folder / "dagster" / name).write_text(localize((FOLDER / name).read_text(encoding="utf-8")))
    settings = yaml.safe_load(localize((FOLDER / "openai_costs.example.yaml").read_text(encoding="utf-8")))
    settings["organizations"]["acme"] |= {"base_url": simulator.base_url, "start_date": first_day()}
    settings["organizations"]["acme"] |= {"usage": False, "read_names": False}  # These tests need costs only.
    settings["refresh"] = refresh_at_another_time()
    (folder / "config" / "openai_costs.yaml").write_text(yaml.safe_dump(settings))
    environment = deployment.place.environment
    environment |= {name: localize(value) for name, value in image_environment().items()}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    run_daemons_every_second(deployment.place)


@pytest.fixture(scope="module")
def dagster(deployment: Deployment) -> Iterator[Dagster]:
    """Start all services in dependency order and return a client of the webserver."""
    started: set[str] = set()
    while waiting := [name for name in by_default() if name not in started]:
        name = next(name for name in waiting if not set(ours()[name]["depends_on"]) & set(waiting))
        process = deployment.start(name)
        if name == PREPARE:
            assert process.wait(timeout=120) == 0, deployment.log(name).read_text()
        else:
            # A health check is slow, so the first one starts only after the port is open.
            deployment.await_port(name)
            until(lambda name=name: deployment.is_healthy(name))  # type: ignore[misc]
        started.add(name)
    with closing(Dagster(deployment.localize("http://127.0.0.1:3000"))) as dagster:
        yield dagster


def test_prepare_creates_all_tables_and_prints_no_password(deployment: Deployment, dagster: Dagster) -> None:
    log = deployment.log(PREPARE).read_text()
    assert log.endswith(" is ready\n")
    assert SECRET not in log
    schemas = deployment.place.sql(
        "select schemaname, count(*) > 10 from pg_tables where schemaname ~ 'openai' group by 1"
    )
    assert sorted(schemas) == [("openai_costs", True), ("openai_costs_dagster", True)]


def test_days_launched_in_the_ui_are_stored_exactly(
    deployment: Deployment, dagster: Dagster, simulated: SimulatedOrganization
) -> None:
    backfill = dagster.launch_backfill(["acme"], stored_days())
    assert until(lambda: dagster.ended(backfill), every=0.5) == "COMPLETED_SUCCESS"
    (run,) = dagster.runs({"dagster/backfill": backfill})
    assert run["status"] == "SUCCESS"
    assert deployment.place.stored("acme") == expected_costs(simulated, first_day())


def test_no_command_line_and_no_log_shows_a_secret(deployment: Deployment, dagster: Dagster) -> None:
    shown = [process.cmdline() for process in deployment.place.processes()]
    assert len(shown) >= len(deployment.processes) - 1
    assert SECRET not in str(shown)
    assert [name for name in deployment.processes if SECRET in deployment.log(name).read_text()] == []


def test_stopped_code_server_waits_for_its_run_and_leaves_no_process(
    deployment: Deployment, dagster: Dagster, simulator: ScriptedSimulator
) -> None:
    requested, resume = threading.Event(), threading.Event()
    simulator.script = lambda _: (requested.set(), resume.wait(60))  # type: ignore[assignment, func-returns-value]
    backfill = dagster.launch_backfill(["acme"], stored_days()[-2:])
    until(requested.is_set)
    (run,) = dagster.runs({"dagster/backfill": backfill})
    family = deployment.place.processes()
    for name in ("daemon", "webserver", "code"):
        deployment.signal(name)
    for name in ("daemon", "webserver"):
        assert deployment.processes[name].wait(timeout=60) in {0, -signal.SIGTERM}, deployment.log(name).read_text()
    assert deployment.processes["code"].poll() is None
    resume.set()
    assert deployment.processes["code"].wait(timeout=120) == 0, deployment.log("code").read_text()
    until(lambda: not any(map(is_alive, family)))
    assert deployment.place.processes() == []
    ((status,),) = deployment.place.sql("select status from openai_costs_dagster.runs where run_id = %s", run["runId"])
    assert status == "SUCCESS"
