"""Identifies processes across hosts, containers and restarts, and tells whether one is still running.

This is the only definition of a live process: runs, `up.json`, `backfill`, `up`, `down` and `demo` all use it.
A process identifier alone says nothing: another host has the same numbers, and so has each container.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import psutil

PROCESS_TAG = "openai-costs/process"
"""The tag of a run that names the process that executes it."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MACHINE = Path("/etc/machine-id")
_NAMESPACE = Path("/proc/self/ns/pid")
_INITIAL_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of Linux: the host itself, outside every container
_START_FIELD = 21  # of /proc/<pid>/stat: clock ticks from the boot to the start of the process
_FIELDS_UP_TO_NAME = 2


class State(Enum):
    """Whether a process is running, as far as this process can see."""

    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """It belongs to another host, another container, or a record that cannot be read."""


@dataclass(frozen=True)
class Place:
    """Where process identifiers have one meaning: a PID namespace of one boot of one machine."""

    host: str
    machine: str
    boot: str
    namespace: str

    @property
    def is_container(self) -> bool:
        """Whether others may share its host name and machine id, which containers take from their image."""
        return bool(self.boot) and self.namespace != _INITIAL_NAMESPACE

    def was_restarted_as(self, other: Place) -> bool:
        """Whether `other` is a later boot of the same machine."""
        same_machine = (self.host, self.machine) == (other.host, other.machine) and bool(self.machine)
        return same_machine and self.boot != other.boot and not (self.is_container or other.is_container)


@dataclass(frozen=True)
class Process:
    """A process as it is recorded; `start` tells it from a later process with the same identifier."""

    pid: int
    start: str
    place: Place

    @classmethod
    def of(cls, pid: int | None = None) -> Process:
        """A running process of this place, by default the present one. Raises psutil.NoSuchProcess."""
        pid = os.getpid() if pid is None else pid
        return cls(pid, _start_of(pid), here())

    @classmethod
    def parse(cls, text: str) -> Process | None:
        """The inverse of `str()`; None for any other text."""
        try:
            fields = json.loads(text)
            return cls(int(fields["pid"]), str(fields["start"]), Place(**fields["place"]))
        except (ValueError, TypeError, KeyError):
            return None

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @property
    def state(self) -> State:
        """Whether it is running; a zombie has ended."""
        if self.place.was_restarted_as(here()):
            return State.ENDED
        if self.place != here() or not _sees_own_processes():
            return State.UNKNOWN
        try:
            is_same = _start_of(self.pid) == self.start
            is_running = is_same and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return State.ENDED
        return State.RUNNING if is_running else State.ENDED

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal if it is running; returns whether it was."""
        if self.state is State.RUNNING:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
                return True
        return False


def tag_of(run_id: str, process: Process) -> str:
    """The value of `PROCESS_TAG` for a run."""
    return f"{run_id} {process}"


def of_run(run_id: str, tag: str | None) -> Process | None:
    """The process that executes a run, by its tag; None without one.

    A re-execution inherits the tags of the first run, so the tag of another run does not count.
    """
    owner, _, process = (tag or "").partition(" ")
    return Process.parse(process) if owner == run_id else None


@cache
def here() -> Place:
    """The place of this process."""
    return Place(platform.node(), _machine(), _read(_BOOT), _link(_NAMESPACE))


def _machine() -> str:
    return _read(_MACHINE) or ("" if platform.system() == "Linux" else f"{uuid.getnode():x}")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _link(file: Path) -> str:
    try:
        return str(file.readlink())
    except OSError:
        return ""


def _sees_own_processes() -> bool:
    """Whether /proc shows this PID namespace; one that was mounted outside shows other processes."""
    own = _link(Path("/proc/self"))
    return not own or own == str(os.getpid())


def _start_of(pid: int) -> str:
    """When a process started. On Linux this does not depend on the system's clock, which may be set."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return str(int(psutil.Process(pid).create_time()))
    return fields.rpartition(")")[2].split()[_START_FIELD - _FIELDS_UP_TO_NAME]
