"""The processes of Dagster that `openai-costs up` supervises, and how each proves that it works."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import httpx2
import psutil

from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.errors import WarehouseError

ANSWER_TIMEOUT_S = 5.0  # seconds
_STOP_TIMEOUT_S = 5.0
HANG_TIMEOUT_S = 300.0
"""Seconds without a tick of any sensor after which a daemon that ticked before is taken for hanging."""

_TICK_POLL_INTERVAL_S = 15.0


class ProcessGroups:
    """The process groups that were started and may still have members, those of ended services included.

    Runs are in the group of the daemon that started them and outlive it.
    """

    def __init__(self) -> None:
        self._leaders: list[int] = []

    def add(self, leader: int) -> None:
        """Remembers a group by its leader."""
        self._leaders.append(leader)

    def remove_empty(self) -> None:
        """Forgets groups without members: another process may get the number of their leader."""
        self._leaders = [leader for leader in self._leaders if _has_members(leader)]

    @property
    def leaders(self) -> Sequence[int]:
        """The groups' numbers."""
        return tuple(self._leaders)


class ProcessService:
    """A process in a group of its own."""

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
        self._command = [sys.executable, "-m", *command]
        self._environment = environment
        self._output = output
        self._groups = groups
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the process. Raises OSError."""
        self._process = subprocess.Popen(  # noqa: S603 - Dagster's own programs, with this interpreter
            self._command,
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT if self._output else None,
            start_new_session=True,
        )
        self._groups.add(self._process.pid)

    def ending(self) -> str | None:
        """How the process ended; None while it runs."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def answers(self) -> bool:
        """Whether it does its work."""
        return self._answers()

    def end(self) -> None:
        """Ends the process itself; its children end when they notice, and runs go on."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class DatabaseService:
    """The embedded PostgreSQL server, which belongs to no process of ours."""

    name = "PostgreSQL"

    def __init__(self, database: Database, start: Callable[[], object]) -> None:
        self._database = database
        self._start = start

    def start(self) -> None:
        """Starts the server. Raises WarehouseError."""
        self._start()

    def ending(self) -> str | None:
        """It has no process that could be waited for: only its answers count."""
        return None

    def answers(self) -> bool:
        """Whether it accepts a connection."""
        try:
            with self._database.connect(name="openai-costs up"):
                return True
        except WarehouseError:
            return False

    def end(self) -> None:
        """Does nothing: a server that recovers must not be interrupted, and starting attaches to one that runs."""


class SensorTicks:
    """Whether the sensors of some code locations go on ticking, by the table that they write.

    A daemon that never ticked since `restart` is not judged: every sensor may be switched off. Time is measured by a
    clock that stands still while the machine sleeps.
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
        """False if ticks were recorded and then none for `HANG_TIMEOUT_S` seconds."""
        now = self._clock()
        if now - self._read_at >= _TICK_POLL_INTERVAL_S:
            self._read_at = now
            self._read(now)
        return self._changed_at is None or now - self._changed_at < HANG_TIMEOUT_S

    def restart(self) -> None:
        """Begins anew, with the daemon."""
        self._changed_at = None

    def _read(self, now: float) -> None:
        try:
            with self._database.connect(name="openai-costs up") as connection:
                newest = sensor_ticks.newest_tick_at(connection, self._locations)
        except WarehouseError:
            self._changed_at = None  # without the database nothing can tick
            return
        if newest != self._last:
            if self._last is not None:
                self._changed_at = now
            self._last = newest


class DaemonService(ProcessService):
    """Dagster's daemon, which works as long as sensors tick."""

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
        """Starts the daemon. Raises OSError."""
        self._ticks.restart()
        super().start()


def webserver_answers(url: str) -> bool:
    """Whether Dagster's webserver answers."""
    try:
        return httpx2.get(f"{url}/server_info", timeout=ANSWER_TIMEOUT_S, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def code_server_answers(socket: Path) -> bool:
    """Whether a code server answers, and the process behind it that holds the definitions."""
    from dagster._core.errors import DagsterUserCodeUnreachableError
    from dagster._grpc.client import DagsterGrpcClient

    try:
        return bool(DagsterGrpcClient(socket=str(socket)).get_server_id(timeout=int(ANSWER_TIMEOUT_S)))
    except DagsterUserCodeUnreachableError:
        return False


def stop_groups(leaders: Sequence[int], *, timeout_s: float) -> None:
    """SIGINT to process groups, a wait, then SIGKILL to what is left. A second Ctrl-C shortens the wait."""
    _signal(leaders, signal.SIGINT)
    with suppress(KeyboardInterrupt):
        psutil.wait_procs(_members(leaders), timeout=timeout_s)
    _signal(leaders, signal.SIGKILL)
    psutil.wait_procs(_members(leaders), timeout=5)


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
    except PermissionError:  # macOS refuses where only zombies are left
        return True
    return True


def _signal(leaders: Sequence[int], number: signal.Signals) -> None:
    for leader in leaders:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, number)
