"""The services that `openai-costs up` supervises: processes of Dagster, and the embedded database."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx2
import psutil

from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.errors import WarehouseError
from openai_costs_dagster.webserver import SERVER_ID_HEADER

ANSWER_TIMEOUT_S = 5.0
_STOP_TIMEOUT_S = 5.0
HANG_TIMEOUT_S = 300.0
"""Seconds without a tick of any sensor after which the daemon counts as hanging."""

# Ticks are read less often than services are checked, because every read opens a database connection.
_TICK_POLL_INTERVAL_S = 15.0


class ProcessGroups:
    """The process groups that were started, including groups of ended services that still have members.

    A run belongs to the process group of the daemon that started it and outlives that daemon.
    """

    def __init__(self) -> None:
        self._leaders: list[int] = []

    def add(self, leader: int) -> None:
        """Record the process group that the process `leader` leads."""
        self._leaders.append(leader)

    def remove_empty(self) -> None:
        """Remove groups without members, because the operating system may reuse the id of such a group."""
        self._leaders = [leader for leader in self._leaders if _has_members(leader)]

    @property
    def leaders(self) -> Sequence[int]:
        """The ids of the recorded process groups."""
        return tuple(self._leaders)


class ProcessService:
    """A service that runs as a process in its own process group."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | None,
        groups: ProcessGroups,
        answers: Callable[[], bool],
    ) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "openai_costs_dagster.orchestration.runtime.plain_logs", *command]
        self._environment = environment
        self._output = output
        self._groups = groups
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process. Raises `OSError`."""
        self._process = subprocess.Popen(  # noqa: S603 - Dagster's own programs, with this interpreter
            self._command,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT if self._output else None,
            # In its own session, the service does not receive Ctrl-C from the terminal. `up` stops its services itself.
            start_new_session=True,
        )
        self._groups.add(self._process.pid)

    def ending(self) -> str | None:
        """Return the reason why the process ended, or None while it runs."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def answers(self) -> bool:
        """Return whether the service works."""
        return self._answers()

    def end(self) -> None:
        """Stop the process. Its children stop by themselves, and its runs continue."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # The second wait reaps the child, which would otherwise remain as a zombie.
            self._process.kill()
            self._process.wait()


class DatabaseService:
    """The embedded PostgreSQL server, which is not a child process."""

    name = "PostgreSQL"

    def __init__(self, database: Database, start: Callable[[], object]) -> None:
        self._database = database
        self._start = start

    def start(self) -> None:
        """Start the server. Raises `WarehouseError`."""
        self._start()

    def ending(self) -> str | None:
        """Return None. The server is not a child process, so its failure is only noticed by `answers`."""
        return None

    def answers(self) -> bool:
        """Return whether the embedded PostgreSQL server accepts a connection."""
        try:
            with self._database.connect(name="openai-costs up"):
                return True
        except WarehouseError:
            return False

    def end(self) -> None:
        """Leave the server running, because it may be in recovery. `start` continues with a running server."""


class SensorTicks:
    """The ticks of the sensors of some code locations, read from the table `sensor_ticks`.

    If no tick was recorded since the last restart, the daemon counts as working, because a user may have switched all
    sensors off. The age of a tick is measured on the monotonic clock, which excludes the time in which the machine
    sleeps.
    """

    def __init__(
        self, database: Database, locations: Sequence[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._locations = locations
        self._clock = clock
        self._read_at = float("-inf")
        self._last: dt.datetime | None = None
        self._changed_at: float | None = None

    def are_recent(self) -> bool:
        """Return False if ticks were recorded before, but none in the last `HANG_TIMEOUT_S` seconds."""
        now = self._clock()
        if now - self._read_at >= _TICK_POLL_INTERVAL_S:
            self._read_at = now
            self._read(now)
        return self._changed_at is None or now - self._changed_at < HANG_TIMEOUT_S

    def restart(self) -> None:
        """Discard earlier ticks after a restart of the daemon."""
        self._changed_at = None

    def _read(self, now: float) -> None:
        try:
            with self._database.connect(name="openai-costs up") as connection:
                newest = sensor_ticks.newest_tick_at(connection, self._locations)
        except WarehouseError:
            # Without the database, no sensor can record a tick, so the missing ticks do not count.
            self._changed_at = None
            return
        if newest != self._last:
            # The first tick that is read may come from an earlier daemon, so only a newer tick shows that this daemon
            # works.
            if self._last is not None:
                self._changed_at = now
            self._last = newest


class DaemonService(ProcessService):
    """Dagster's daemon, which works as long as its sensors tick."""

    def __init__(
        self,
        command: Sequence[str],
        ticks: SensorTicks,
        *,
        environment: Mapping[str, str],
        output: IO[bytes] | None,
        groups: ProcessGroups,
    ) -> None:
        super().__init__(
            "Dagster's daemon",
            command,
            environment=environment,
            output=output,
            groups=groups,
            answers=ticks.are_recent,
        )
        self._ticks = ticks

    def start(self) -> None:
        """Start the daemon. Raises `OSError`."""
        self._ticks.restart()
        super().start()


def webserver_answers(url: str, server_id: str) -> bool:
    """Return whether the webserver with an id answers. Another server at the same URL does not count."""
    try:
        # Requests to this machine must not go through a proxy that the environment names.
        response = httpx2.get(f"{url}/server_info", timeout=ANSWER_TIMEOUT_S, trust_env=False)
    except httpx2.HTTPError:
        return False
    return response.status_code == 200 and response.headers.get(SERVER_ID_HEADER) == server_id


def code_server_answers(socket: Path) -> bool:
    """Return whether a code server and its child process with the definitions answer."""
    from dagster._core.errors import DagsterUserCodeUnreachableError
    from dagster._grpc.client import DagsterGrpcClient

    try:
        # `GetServerId` is answered by the child process with the definitions, which can die while its parent still
        # listens (docs/decisions/0030-supervision-by-up.md).
        return bool(DagsterGrpcClient(socket=str(socket)).get_server_id(timeout=int(ANSWER_TIMEOUT_S)))
    except DagsterUserCodeUnreachableError:
        return False


def stop_groups(leaders: Sequence[int], *, timeout_s: float) -> None:
    """Send SIGINT to process groups, wait, and send SIGKILL to the remaining members.

    An interruption of this process ends the wait.
    """
    # If an interruption raised an exception between the signals, members that ignore SIGINT would keep running. So an
    # interruption sends SIGKILL instead.
    with _handled_interruptions(lambda: _signal(leaders, signal.SIGKILL)):
        _signal(leaders, signal.SIGINT)
        psutil.wait_procs(_members(leaders), timeout=timeout_s)
        _signal(leaders, signal.SIGKILL)
        psutil.wait_procs(_members(leaders), timeout=5)


@contextmanager
def _handled_interruptions(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` instead of raising `KeyboardInterrupt` when this process is interrupted."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in handlers.items():
        # A program that nohup starts ignores SIGHUP, and must still ignore SIGHUP while `action` is installed.
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda *_: action())
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _members(leaders: Sequence[int]) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _group_of(process) in leaders]


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _has_members(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS raises this error for groups whose members are all zombies.
        return True
    return True


def _signal(leaders: Sequence[int], number: signal.Signals) -> None:
    for leader in leaders:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)
