"""Processes of this machine that run what Dagster recorded, told from those that were given their number since."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STARTED = 21  # where Linux has the clock ticks from its own start to the process', counted after the process' name
_AFTER_ITS_NAME = 2


def named(pid: int | None = None) -> str:
    """How a process is written down: its number, and when it was made. Ours, where no number is given.

    On Linux that is told without the system's clock, which may be set. Raises psutil.NoSuchProcess.
    """
    process = psutil.Process(pid)
    try:
        told = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8", errors="replace")
        ticks = told.rpartition(")")[2].split()[_STARTED - _AFTER_ITS_NAME]
        boot = _BOOT.read_text(encoding="utf-8").partition("-")[0]
    except FileNotFoundError:
        return f"{process.pid}@{int(process.create_time())}"
    return f"{process.pid}@{boot}+{ticks}"


def lives(name: str) -> bool:
    """Whether a process that was written down is still there. One that has ended and waits to be buried is not."""
    try:
        process = psutil.Process(int(name.partition("@")[0]))
        return named(process.pid) == name and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return False


def tell(name: str, number: signal.Signals) -> bool:
    """Sends a signal to a process that was written down; says whether it was there."""
    if lives(name):
        with suppress(ProcessLookupError):
            os.kill(int(name.partition("@")[0]), number)
            return True
    return False
