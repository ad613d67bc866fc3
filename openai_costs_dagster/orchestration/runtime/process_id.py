"""Identifies processes across hosts, containers and restarts, and checks whether a process is running.

The commands `backfill`, `up`, `down` and `demo`, the state file `up.json` and the tags of runs all use this module. A
process id alone is ambiguous, because every host and every container uses the same numbers.
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

PROCESS_TAG = ".dagster/openai-costs-process"
"""The tag that names the process that executes a run. Dagster's UI hides tags with the prefix ``.dagster/``."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MACHINE = Path("/etc/machine-id")
_NAMESPACE = Path("/proc/self/ns/pid")
# The PID namespace of the host itself, outside every container (PROC_PID_INIT_INO in the source of Linux).
_INITIAL_NAMESPACE = "pid:[4026531836]"
_START_FIELD = 21  # the index of the start time in /proc/<pid>/stat, in clock ticks since boot
_FIELDS_UP_TO_NAME = 2


class State(Enum):
    """The state of a recorded process, as far as the current process can determine it."""

    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """The recorded process belongs to another host or container, or its record cannot be read."""


@dataclass(frozen=True)
class Place:
    """The scope in which a process id is unique: a PID namespace, of one boot, of one machine."""

    host: str
    machine: str
    boot: str
    namespace: str

    @property
    def is_container(self) -> bool:
        """Whether the scope is a container.

        Containers of one image may share their host name and machine id, so that these two do not identify a container.
        """
        return bool(self.boot) and self.namespace != _INITIAL_NAMESPACE

    def was_restarted_as(self, other: Place) -> bool:
        """Return whether `other` is a different boot of the same machine, so that all processes of this scope have
        ended.
        """
        same_machine = (self.host, self.machine) == (other.host, other.machine) and bool(self.machine)
        return same_machine and self.boot != other.boot and not (self.is_container or other.is_container)


@dataclass(frozen=True)
class Process:
    """A recorded process. The field `start` distinguishes the process from a later process with the same id."""

    pid: int
    start: str
    place: Place

    @classmethod
    def of(cls, pid: int | None = None) -> Process:
        """Return the record of a running process of this host, by default of the current process.

        Raises `psutil.NoSuchProcess` if no process has the id `pid`.
        """
        pid = os.getpid() if pid is None else pid
        return cls(pid, _start_of(pid), here())

    @classmethod
    def parse(cls, text: str) -> Process | None:
        """Return the process that was written as text with `str(process)`, or None if `text` is not such a text."""
        try:
            fields = json.loads(text)
            return cls(int(fields["pid"]), str(fields["start"]), Place(**fields["place"]))
        except (ValueError, TypeError, KeyError):
            return None

    def __str__(self) -> str:
        return json.dumps(asdict(self))

    @property
    def state(self) -> State:
        """Whether the process is running, has ended or cannot be checked. A zombie counts as ended."""
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
        """Send a signal to the process if it is running. Return whether it was running."""
        if self.state is State.RUNNING:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
                return True
        return False


def tag_of(run_id: str, process: Process) -> str:
    """Return the value of the tag `PROCESS_TAG` for a run that a process executes."""
    return f"{run_id} {process}"


def of_run(run_id: str, tag: str | None) -> Process | None:
    """Return the process that executes a run, according to the run's tag, or None without a valid tag.

    A re-execution inherits the tags of the original run, so a tag that contains the id of another run is ignored.
    """
    owner, _, process = (tag or "").partition(" ")
    return Process.parse(process) if owner == run_id else None


@cache
def here() -> Place:
    """Return the scope of the current process: its host, boot and PID namespace."""
    return Place(platform.node(), _machine(), _read(_BOOT), _link(_NAMESPACE))


def _machine() -> str:
    # Only Linux has the file /etc/machine-id. On systems without this file, the hardware address of the network adapter
    # identifies the machine.
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
    """Return whether /proc shows the PID namespace of the current process.

    A /proc that is mounted from outside a container shows other processes under the same ids.
    """
    own = _link(Path("/proc/self"))
    return not own or own == str(os.getpid())


def _start_of(pid: int) -> str:
    """Return the start time of a process as text.

    On Linux the start time counts from the boot, so that a change of the system clock does not affect it.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return str(int(psutil.Process(pid).create_time()))
    # The second field of the file is the program's name in parentheses. The name may itself contain blanks and
    # parentheses, so the fields are counted after the last parenthesis.
    return fields.rpartition(")")[2].split()[_START_FIELD - _FIELDS_UP_TO_NAME]
