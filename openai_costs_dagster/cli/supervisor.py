"""Keeps a few services running: restarts what has ended and what does not answer any more.

A service is judged by what users need of it, not only by whether its process lives: a code server whose child was
killed still runs and answers nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from openai_costs_dagster.warehouse.errors import WarehouseError

_LOG = logging.getLogger(__name__)

STARTUP_TIMEOUT_S = 180.0
"""Seconds that a service may need until its first answer: loading many organizations takes a minute."""

MAX_MISSED_ANSWERS = 3
"""After so many checks in a row without an answer a service is restarted."""

STABLE_AFTER_S = 600.0
"""A service that ran for so many seconds is restarted at once when it fails again."""

_FIRST_DELAY_S, _MAX_DELAY_S = 5.0, 300.0


class Service(Protocol):
    """Something that can be started, checked and ended."""

    @property
    def name(self) -> str:
        """What it is called in the log."""

    def start(self) -> None:
        """Starts it. Raises OSError or WarehouseError if that is not possible now."""

    def ending(self) -> str | None:
        """How its process ended, as in ``was killed by signal 9``; None while it runs."""

    def answers(self) -> bool:
        """Whether it does its work."""

    def end(self) -> None:
        """Ends it, and waits for that."""


@dataclass
class _Supervised:
    """A service and what is known of it; times are those of the clock."""

    service: Service
    started_at: float = 0.0
    has_answered: bool = False
    missed: int = 0
    restarts: int = 0
    start_at: float | None = None
    """When to start it; None while it runs."""
    reason: str = field(default="")


class Supervisor:
    """Checks services whenever `check` is called, and restarts those that fail, with growing pauses."""

    def __init__(self, services: Sequence[Service], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes services that have been started and answer."""
        self._clock = clock
        self._watched = [_Supervised(service, started_at=clock(), has_answered=True) for service in services]

    def check(self) -> list[str]:
        """Checks every service once and returns the names of those that it has restarted."""
        return [one.service.name for one in self._watched if self._restarted(one)]

    def _restarted(self, one: _Supervised) -> bool:
        if one.start_at is None:
            reason = self._failure(one)
            if reason is None:
                return False
            self._plan_restart(one, reason)
        return one.start_at is not None and self._clock() >= one.start_at and self._start(one)

    def _failure(self, one: _Supervised) -> str | None:
        """Why a service has to be restarted; None if it has not."""
        if ending := one.service.ending():
            return ending
        if one.service.answers():
            one.has_answered, one.missed = True, 0
            return None
        if not one.has_answered and self._clock() - one.started_at < STARTUP_TIMEOUT_S:
            return None
        one.missed += 1
        return "does not answer" if one.missed >= MAX_MISSED_ANSWERS else None

    def _plan_restart(self, one: _Supervised, reason: str) -> None:
        now = self._clock()
        if now - one.started_at >= STABLE_AFTER_S:
            one.restarts = 0
        wait = min(_FIRST_DELAY_S * 2 ** (one.restarts - 1), _MAX_DELAY_S) if one.restarts else 0.0
        one.restarts += 1
        one.start_at, one.reason = now + wait, reason
        if wait:
            _LOG.warning("%s %s; it is restarted in %.0f s", one.service.name, reason, wait)
        one.service.end()

    def _start(self, one: _Supervised) -> bool:
        one.started_at, one.has_answered, one.missed, one.start_at = self._clock(), False, 0, None
        try:
            one.service.start()
        except (OSError, WarehouseError) as error:
            self._plan_restart(one, f"could not be started: {error}")
            return False
        _LOG.warning("%s %s and was restarted", one.service.name, one.reason)
        return True
