"""Processes of this machine that run what Dagster recorded, told from those that were given their number since."""

from __future__ import annotations

import os
import signal

import psutil


def named(pid: int | None = None) -> str:
    """How a process is written down: its number and the second it was made in. Ours, where no number is given.

    Raises psutil.NoSuchProcess.
    """
    process = psutil.Process(pid)
    return f"{process.pid}@{int(process.create_time())}"


def lives(name: str) -> bool:
    """Whether a process that was written down is still there. One that has ended and waits to be buried is not."""
    pid, _, _ = name.partition("@")
    try:
        process = psutil.Process(int(pid))
        return named(process.pid) == name and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ValueError):
        return False


def interrupt(name: str) -> bool:
    """Asks a process to end, as Ctrl-C does; says whether it was there."""
    if not lives(name):
        return False
    os.kill(int(name.partition("@")[0]), signal.SIGINT)
    return True
