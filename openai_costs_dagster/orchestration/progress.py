"""Reports the progress of a run to the command that started the run, while the run is under way.

A run in this process returns its Dagster events only at its end, which is too late for a progress bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """Progress of a run: a number of days that were stored or failed, a message, or the summary of a finished run."""

    organization: str
    days_done: int = 0
    message: str | None = None
    finished: Mapping[str, Any] | None = None


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` with every progress report of this process while the `with` block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def days_done(organization: str, days: int) -> None:
    """Report that `days` more days of an organization were stored or failed."""
    _notify(Progress(organization, days_done=days))


def message(organization: str, text: str) -> None:
    """Report a message about an organization's run, for a person who waits for the run."""
    _notify(Progress(organization, message=text))


def finished(organization: str, summary: Mapping[str, Any]) -> None:
    """Report the summary of a finished run.

    `summary` has the fields of `worker_pool.Result` as its keys, and values that can be encoded as JSON.
    """
    _notify(Progress(organization, finished=summary))


def _notify(progress: Progress) -> None:
    for listener in _listeners:
        listener(progress)
