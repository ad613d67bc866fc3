"""Start, supervision and end of Dagster's webserver, daemon and code servers, for `up` and `demo`."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

import psutil

from openai_costs_dagster.cli.dagster_services import (
    DaemonService,
    DatabaseService,
    ProcessGroups,
    ProcessService,
    SensorTicks,
    code_server_answers,
    stop_groups,
    webserver_answers,
)
from openai_costs_dagster.cli.errors import DagsterEnded, InputMistake
from openai_costs_dagster.cli.supervisor import STARTUP_TIMEOUT_S, Service, Supervisor
from openai_costs_dagster.cli.webserver_address import WebserverAddress
from openai_costs_dagster.orchestration.runtime.instance import UI_URL_VARIABLE
from openai_costs_dagster.orchestration.runtime.process_id import Process, State
from openai_costs_dagster.orchestration.sharding import shards
from openai_costs_dagster.report.atomic_file import NotWritable, atomic_write
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.webserver import ALLOWED_HOSTS_VARIABLE, SERVER_ID_VARIABLE

_LOG = logging.getLogger(__name__)
_STOP_TIMEOUT_S = 8.0  # the total time limit for stopping all processes; a run that is killed is repeated later
_WEBSERVER_TIMEOUT_S = 120.0

CHECK_INTERVAL_S = 3.0
"""Seconds between two checks of a service. A service that fails three checks in a row is restarted."""


class CodeLocation(NamedTuple):
    """A code location of Dagster with the module of its definitions."""

    name: str
    module: str
    attribute: str | None = None


class DagsterDev:
    """Dagster's webserver, daemon and code servers.

    A state file records the processes, so that another process can stop them.
    """

    def __init__(self, state_file: Path, address: WebserverAddress, organizations: int = 1) -> None:
        self._state_file = state_file
        self._address = address
        self._locations = code_locations(organizations)
        self._services: list[Service] = []
        self._database_answers: Callable[[], bool] = lambda: True
        self._groups = ProcessGroups()
        self._stack = ExitStack()

    def start(
        self,
        environment: Mapping[str, str],
        *,
        database: Database,
        restart_database: Callable[[], object] | None,
        log_format: str,
        log_file: Path | None,
    ) -> None:
        """Start all processes and return once the UI answers.

        `restart_database` restarts the embedded server if it was killed. Raises `DagsterEnded` if a process ends before
        the UI answers.
        """
        output = self._stack.enter_context(log_file.open("ab")) if log_file else None
        # The path of a socket is limited to about 100 bytes, and the path of the data directory may be longer.
        sockets = Path(tempfile.mkdtemp(prefix="openai-costs-"))
        self._stack.callback(shutil.rmtree, sockets, ignore_errors=True)
        host, port, url = self._address.host, self._address.port, self._address.url
        environment = {
            **environment,
            "PYTHONWARNINGS": "ignore",
            "DAGSTER_IS_DEV_CLI": "1",
            UI_URL_VARIABLE: self._address.link,
        }
        # A random id, because another installation may answer at the same address.
        server_id = secrets.token_hex(8)
        colored = "colored" if log_format == "text" else log_format
        database_service = DatabaseService(database, restart_database or (lambda: None))
        self._database_answers = database_service.answers
        if restart_database:
            self._services.append(database_service)
        for location in self._locations:
            self._start(self._code_server(location, sockets, environment, output, colored))
        # A code server listens after it has loaded its definitions, or failed to load them. Dagster's UI shows a load
        # error.
        listening = [socket_of(location, sockets) for location in self._locations]
        self._wait_until(
            lambda: all(map(_is_listening, listening)),
            f"definitions do not load within {STARTUP_TIMEOUT_S:.0f} s",
            STARTUP_TIMEOUT_S,
        )
        workspace = self._state_file.with_name("workspace.yaml")
        with atomic_write(workspace) as draft:
            draft.write_text(workspace_of(self._locations, sockets), encoding="utf-8")
        common = ["--workspace", str(workspace), "--log-format", colored]
        self._start(
            ProcessService(
                "Dagster's webserver",
                ["openai_costs_dagster.webserver", "-h", host, "-p", str(port), *common],
                environment={
                    **environment,
                    ALLOWED_HOSTS_VARIABLE: ",".join(self._address.hosts),
                    SERVER_ID_VARIABLE: server_id,
                },
                output=output,
                groups=self._groups,
                answers=lambda: webserver_answers(url, server_id),
            )
        )
        ticks = SensorTicks(database, [location.name for location in self._locations])
        daemon = ["dagster._daemon", "run", *common]
        self._start(DaemonService(daemon, ticks, environment=environment, output=output, groups=self._groups))
        self._wait_until(
            lambda: webserver_answers(url, server_id),
            f"it does not answer at {url} within {_WEBSERVER_TIMEOUT_S:.0f} s",
            _WEBSERVER_TIMEOUT_S,
        )

    def supervise(self) -> NoReturn:
        """Restart processes that end or do not answer, until interrupted. Raises `DagsterEnded`."""
        supervisor = Supervisor(self._services, database_answers=self._database_answers)
        while True:
            if supervisor.check():
                self._record_restart()
            self._groups.remove_empty()
            time.sleep(CHECK_INTERVAL_S)

    def stop(self) -> None:
        """Stop all processes and the runs that they started."""
        self._groups.remove_empty()
        stop_groups(self._groups.leaders, timeout_s=_STOP_TIMEOUT_S)
        self._stack.close()
        # The state file is deleted last, so `down` can stop the remaining processes if this process is killed before.
        self._state_file.unlink(missing_ok=True)

    def _code_server(
        self,
        location: CodeLocation,
        sockets: Path,
        environment: Mapping[str, str],
        output: IO[bytes] | None,
        log_format: str,
    ) -> ProcessService:
        """Return a code server with the options of `dagster dev`. A reload in the UI replaces its child process."""
        socket_file = socket_of(location, sockets)
        attribute = ["-a", location.attribute] if location.attribute else []
        return ProcessService(
            f"the code server of {location.name}",
            [
                *("dagster", "code-server", "start", "--socket", str(socket_file), "--log-level", "warning"),
                *("--log-format", log_format, "--location-name", location.name, "--inject-env-vars-from-instance"),
                *("--startup-timeout", f"{STARTUP_TIMEOUT_S:.0f}", "-m", location.module, *attribute),
            ],
            environment=environment,
            output=output,
            groups=self._groups,
            answers=lambda: code_server_answers(socket_file),
        )

    def _start(self, service: ProcessService) -> None:
        service.start()
        # The state is written after every start, so `down` finds all processes even if this process is killed during
        # startup.
        self._services.append(service)
        self._write_state()

    def _wait_until(self, condition: Callable[[], bool], otherwise: str, seconds: float) -> None:
        """Wait for a condition. Raises `DagsterEnded` if a process ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            for service in self._services:
                if ending := service.ending():
                    raise DagsterEnded(f"{service.name} {ending} before Dagster answered")
            if time.monotonic() > deadline:
                raise DagsterEnded(f"Dagster did not start: {otherwise}")
            time.sleep(0.2)

    def _record_restart(self) -> None:
        try:
            self._write_state()
        except NotWritable as error:
            # If the state file cannot be written, for example because the disk is full, the running processes continue,
            # but `openai-costs down` may not find all of these processes.
            _LOG.warning("%s", error)

    def _write_state(self) -> None:
        groups = {leader: name for leader in self._groups.leaders if (name := _name_of(leader))}
        recorded_process = {
            "pid": os.getpid(),
            "process": str(Process.of()),
            "host": self._address.host,
            "port": self._address.port,
            "groups": groups,
        }
        with atomic_write(self._state_file) as draft:
            draft.write_text(json.dumps(recorded_process), encoding="utf-8")


def code_locations(organizations: int) -> list[CodeLocation]:
    """Return the code locations for a number of organizations: one location, or one for each shard."""
    several = shards(organizations)
    if len(several) == 1:
        return [CodeLocation("openai_costs", "openai_costs_dagster.definitions")]
    return [
        CodeLocation(f"openai_costs_{shard.number}", "openai_costs_dagster.shards", shard.name) for shard in several
    ]


def socket_of(location: CodeLocation, sockets: Path) -> Path:
    """Return the Unix socket of the code server of a location."""
    return sockets / f"{location.name}.sock"


def workspace_of(locations: list[CodeLocation], sockets: Path) -> str:
    """Return the content of a workspace file that lists the code servers."""
    servers = [
        {"grpc_server": {"location_name": one.name, "host": "localhost", "socket": str(socket_of(one, sockets))}}
        for one in locations
    ]
    # Dagster reads YAML, and every JSON document is a valid YAML document.
    return json.dumps({"load_from": servers})


def recorded_process(state_file: Path) -> Process | None:
    """Return the process that wrote a state file, or None if there is no such state file."""
    try:
        return Process.parse(json.loads(state_file.read_text(encoding="utf-8"))["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stop_recorded_processes(state_file: Path, *, timeout_s: float = _STOP_TIMEOUT_S) -> bool:
    """Stop the processes that a state file names. Return whether there were any.

    The recorded process stops its services itself. If it was killed, the process groups of its services are stopped.
    Raises `InputMistake` if the process belongs to another host or container, where it may still be running.
    """
    process = recorded_process(state_file)
    if process and process.state is State.UNKNOWN:
        raise InputMistake(
            f"{state_file} names a process of {process.place.host}, another host or container: "
            "stop it there, or delete the file if that host is gone"
        )
    was_running = process is not None and process.send(signal.SIGINT)
    if process and was_running:
        with suppress(psutil.NoSuchProcess):
            # The process needs up to `timeout_s` to stop its own services, so it gets more time than that.
            psutil.wait_procs([psutil.Process(process.pid)], timeout=2 * timeout_s)
    left = _recorded_groups(state_file)
    stop_groups(left, timeout_s=timeout_s)
    if process:
        process.send(signal.SIGKILL)
    state_file.unlink(missing_ok=True)
    return was_running or bool(left)


def _recorded_groups(state_file: Path) -> list[int]:
    """Return the recorded process groups whose leader still runs. Ignores groups whose leader's id was reused."""
    try:
        groups: dict[str, str] = json.loads(state_file.read_text(encoding="utf-8"))["groups"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    leaders = {int(leader): Process.parse(name) for leader, name in groups.items()}
    return [leader for leader, process in leaders.items() if process and process.state is State.RUNNING]


def _is_listening(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _name_of(leader: int) -> str | None:
    try:
        return str(Process.of(leader))
    except psutil.NoSuchProcess:
        return None
