"""Supervision of services: restarts services that ended or no longer answer.

A running process is not enough: a code server whose child was killed still runs, but answers no request. A service
that ends right after every start is given up, because a restart cannot repair it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from openai_costs_dagster.cli.errors import DagsterEnded
from openai_costs_dagster.warehouse.errors import WarehouseError

_LOG = logging.getLogger(__name__)

STARTUP_TIMEOUT_S = 180.0
"""Time limit in seconds for the first answer of a service. Loading many organizations takes a minute."""

MAX_MISSED_ANSWERS = 3
"""The number of consecutive checks without an answer after which a service is restarted."""

STABLE_AFTER_S = 600.0
"""Seconds after which a running service counts as stable. A stable service that fails is restarted without delay."""

SHORT_LIFE_S = 60.0
"""Seconds after its start within which the end of a service counts as a failed start."""

MAX_FAILED_STARTS = 5
"""The number of consecutive failed starts after which a service is given up."""

_FIRST_DELAY_S, _MAX_DELAY_S = 5.0, 300.0


class Service(Protocol):
    """A service that can be started, checked and stopped."""

    @property
    def name(self) -> str:
        """The name of the service in log messages."""

    def start(self) -> None:
        """Start the service. Raises `OSError` or `WarehouseError` on failure."""

    def ending(self) -> str | None:
        """Return the reason why the process ended, for example ``was killed by signal 9``, or None while it runs."""

    def answers(self) -> bool:
        """Return whether the service works."""

    def end(self) -> None:
        """Stop the service and wait until it has stopped."""


@dataclass
class _Supervised:
    """A service and its state. Times are values of the supervisor's clock."""

    service: Service
    started_at: float = 0.0
    has_answered: bool = False
    missed: int = 0
    restarts: int = 0
    failed_starts: int = 0
    start_at: float | None = None
    """The time at which the service will be restarted, or None while the service runs."""
    reason: str = field(default="")


class Supervisor:
    """Restarts failed services with increasing delays. The caller calls `check` at regular intervals."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        database_answers: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Supervise `services`, which must be running and answering already.

        No service is given up while the database does not answer, because no service can start without it.
        """
        self._database_answers = database_answers
        self._clock = clock
        self._watched = [_Supervised(service, started_at=clock(), has_answered=True) for service in services]

    def check(self) -> list[str]:
        """Check every service once and return the names of the restarted services.

        Raises `DagsterEnded` if a service ended right after each of its last starts.
        """
        return [one.service.name for one in self._watched if self._restarted(one)]

    def _restarted(self, one: _Supervised) -> bool:
        if one.start_at is None:
            reason = self._failure(one)
            if reason is None:
                return False
            self._plan_restart(one, reason)
        # The first restart of a service has no delay, so the service is restarted in the same check that found its
        # failure.
        return one.start_at is not None and self._clock() >= one.start_at and self._start(one)

    def _failure(self, one: _Supervised) -> str | None:
        """Return the reason for a restart of the supervised service, or None if no restart is needed yet."""
        if ending := one.service.ending():
            self._count_failed_start(one, ending)
            return ending
        if one.service.answers():
            one.has_answered, one.missed = True, 0
            return None
        if not one.has_answered and self._clock() - one.started_at < STARTUP_TIMEOUT_S:
            return None
        one.missed += 1
        return "does not answer" if one.missed >= MAX_MISSED_ANSWERS else None

    def _count_failed_start(self, one: _Supervised, ending: str) -> None:
        """Count an ended service whose restart did not help. Raises `DagsterEnded` after too many of them."""
        is_failed_start = one.restarts > 0 and self._clock() - one.started_at < SHORT_LIFE_S
        one.failed_starts = one.failed_starts + 1 if is_failed_start and self._database_answers() else 0
        if one.failed_starts >= MAX_FAILED_STARTS:
            raise DagsterEnded(
                f"{one.service.name} {ending} after {one.failed_starts} starts in a row, and Dagster was stopped: "
                "its last log lines give the reason"
            )

    def _plan_restart(self, one: _Supervised, reason: str) -> None:
        now = self._clock()
        if now - one.started_at >= STABLE_AFTER_S:
            one.restarts = 0
        wait = min(_FIRST_DELAY_S * 2 ** (one.restarts - 1), _MAX_DELAY_S) if one.restarts else 0.0
        one.restarts += 1
        one.start_at, one.reason = now + wait, reason
        if wait:
            _LOG.warning("%s %s; it is restarted in %.0f s", one.service.name, reason, wait)
        # A service that hangs must end before its successor can use the same port or socket.
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
