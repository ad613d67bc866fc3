"""Progress of a run, reported to the process that started it while the run is still under way.

Dagster's events arrive only after the run, which is too late for a progress bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """One report: a number of days that were stored or failed, a message, or the summary of a finished run."""

    organization: str
    days_done: int = 0
    message: str | None = None
    finished: Mapping[str, Any] | None = None


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` with every report of this process while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def days_done(organization: str, days: int) -> None:
    """Report that further days were stored or failed."""
    _notify(Progress(organization, days_done=days))


def message(organization: str, text: str) -> None:
    """Report a message for a person who waits for the run."""
    _notify(Progress(organization, message=text))


def finished(organization: str, summary: Mapping[str, Any]) -> None:
    """Report the summary of a run. It has the fields of `worker_pool.Result`, as values that can be encoded as JSON."""
    _notify(Progress(organization, finished=summary))


def _notify(progress: Progress) -> None:
    for listener in _listeners:
        listener(progress)
