"""Tells whoever started a run in this process how far it is: Dagster's own events reach them only afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """A step forward: days done (stored or failed), a sentence, or all that came of a run."""

    organization: str
    days_done: int = 0
    note: str | None = None
    finished: Mapping[str, Any] | None = None


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Calls `listener` for every step forward within this process."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def days_done(organization: str, days: int) -> None:
    """Says that so many more days are stored or failed."""
    _tell(Progress(organization, days_done=days))


def note(organization: str, sentence: str) -> None:
    """Says what a person who waits for the run should know."""
    _tell(Progress(organization, note=sentence))


def finished(organization: str, summary: Mapping[str, Any]) -> None:
    """Says what came of a run, in values that JSON knows: the fields of `runs.Result`."""
    _tell(Progress(organization, finished=summary))


def _tell(progress: Progress) -> None:
    for listener in _listeners:
        listener(progress)
