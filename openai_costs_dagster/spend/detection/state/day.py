"""One day while it is judged: what was expected of each series, what came, and what is thought of it so far."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from openai_costs_dagster.spend.detection.panel import NO_PARENT, Flags, Floats, Integers, true_columns
from openai_costs_dagster.spend.detection.state.activity import Activity

Reasons = NDArray[np.str_]
REASONS: Any = np.dtype("U12")


class FailedTest(NamedTuple):
    """The test that flagged a day, with its own numbers in US dollars.

    The spend of the last `days` days lies outside `lower` to `upper`, and differs from `expected` by at least the
    minimum impact.
    """

    days: int
    expected: float
    lower: float
    upper: float
    total: int = NO_PARENT
    """The column of the total whose jump made a newcomer remarkable."""


@dataclass
class Day:
    """By series. Money in US dollars; `residual`, `week_effect` and `spread` on the log scale.

    What suspects sets `up`, `down`, `reason`, and `began` where days before belong to it; what forgives takes them
    back and sets `excused`.
    """

    row: int
    date: dt.date
    spend: Floats
    age: Integers
    """Days since the first spend."""
    alive: Flags
    mature: Flags
    settled: bool
    activity: Activity
    uncertainty: Floats
    """Variance of the prediction, in units of the noise's."""
    spread: Floats
    weekday_effect: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    residual: Floats
    score: Floats
    """The residual in standard deviations of the prediction."""
    recent_alerts: Integers
    """Of the weeks before."""
    outside_episode: Flags
    """Not within an event that began before."""
    began_row: Integers
    rise: Flags
    drop: Flags
    suppressed: Flags
    is_rest_day: Flags
    """A day of rest: neither flagged for being low nor a lesson about ordinary days."""
    reason: Reasons
    tests: dict[int, FailedTest] = field(default_factory=dict)
    """By column: the tests whose range is not that of the day itself."""

    @property
    def flagged(self) -> Flags:
        """What is flagged so far."""
        return self.rise | self.drop

    @property
    def difference(self) -> Floats:
        """Spend less what was expected."""
        return self.spend - self.expected

    def is_mostly_active(self, share: float, window: int) -> Flags:
        """Whether a series spent on at least this share of the days of the window that it lived."""
        return self.activity.active_days >= share * np.minimum(self.age, window)

    @property
    def shown_lower(self) -> Floats:
        """The lower bound as people see it: below zero only on days of negative net cost."""
        return np.where(self.spend < 0, self.lower, np.maximum(self.lower, 0))

    def failed_test(self, column: int) -> FailedTest:
        """The test that a flagged series failed: the range of the day itself, unless another test flagged it."""
        bounds = (self.expected[column].item(), self.shown_lower[column].item(), self.upper[column].item())
        return self.tests.get(column) or FailedTest(1, *bounds)

    def flag(self, found: Flags, reason: str, *, rise: bool, test: Callable[[int], FailedTest] | None = None) -> None:
        """Flags what was not flagged. `test` gives the numbers of a column's test where they are not the day's."""
        found = found & ~self.flagged
        if rise:
            self.rise |= found
        else:
            found &= self.settled
            self.drop |= found
        self.reason[found] = reason
        if test:
            self.tests |= {column: test(column) for column in true_columns(found)}

    def unflag(self, found: Flags | int, reason: str) -> None:
        """Takes flags back."""
        self.rise[found] = self.drop[found] = False
        self.reason[found] = reason
