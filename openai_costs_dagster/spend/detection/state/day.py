"""The day under evaluation: the predictions, the actual spend and the flags of all series."""

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
REASONS: Any = np.dtype("U12")  # the longest reason, "intermittent", has 12 characters


class FailedTest(NamedTuple):
    """The test that flagged a day, with its own bounds in US dollars.

    The spend of the last `days` days lies outside the range from `lower` to `upper` and differs from `expected` by at
    least the minimum impact.
    """

    days: int
    expected: float
    lower: float
    upper: float
    total: int = NO_PARENT
    """The column of the total whose rise caused a new series to be flagged."""


@dataclass
class Day:
    """One day of a panel; every array has one value per series.

    Amounts are US dollars. `residual`, `weekday_effect` and `spread` are on the log scale. A rule that flags a series
    sets `rise` or `drop`, the `reason`, and `began_row` if earlier days belong to the same finding. A rule that
    removes a flag clears `rise` and `drop`, and sets `suppressed` if the day is excluded from the baseline.
    """

    row: int
    date: dt.date
    spend: Floats
    age: Integers
    """The days since the first spend; negative before it."""
    alive: Flags
    """Whether the day lies between the first spend of the series and its organization's last known day."""
    mature: Flags
    """Whether the series is old enough to be compared with its own history."""
    settled: bool
    """Whether the spend of the day is final."""
    activity: Activity
    uncertainty: Floats
    """The variance of the prediction, in units of the noise's variance."""
    spread: Floats
    """The standard deviation of the residual: noise and uncertainty of the prediction together."""
    weekday_effect: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    residual: Floats
    score: Floats
    """The residual in units of `spread`."""
    recent_alerts: Integers
    """The number of episodes of the series that opened in recent weeks."""
    outside_episode: Flags
    """Whether no episode of the series was open when the day began."""
    began_row: Integers
    """The row of the first day that belongs to the finding."""
    rise: Flags
    """Whether the series is flagged because it spent more than expected."""
    drop: Flags
    """Whether the series is flagged because it spent less than expected."""
    suppressed: Flags
    """Whether a suppression applies: the day is neither flagged nor used by the baseline."""
    is_rest_day: Flags
    """Whether the series rests along with others, so that the day is not used by the baseline."""
    reason: Reasons
    tests: dict[int, FailedTest] = field(default_factory=dict)
    """The failed tests whose bounds differ from those of the day itself, by column."""

    @property
    def flagged(self) -> Flags:
        """Whether each series is flagged."""
        return self.rise | self.drop

    @property
    def difference(self) -> Floats:
        """The actual minus the expected spend, in US dollars."""
        return self.spend - self.expected

    def is_mostly_active(self, share: float, window: int) -> Flags:
        """Return whether each series was active on at least `share` of its days in a window of `window` days."""
        return self.activity.active_days >= share * np.minimum(self.age, window)

    @property
    def shown_lower(self) -> Floats:
        """The lower bound for display: negative only on days with a negative net cost."""
        return np.where(self.spend < 0, self.lower, np.maximum(self.lower, 0))

    def failed_test(self, column: int) -> FailedTest:
        """Return the test that flagged a series; without a special test, the range of the day itself."""
        bounds = (self.expected[column].item(), self.shown_lower[column].item(), self.upper[column].item())
        return self.tests.get(column) or FailedTest(1, *bounds)

    def flag(self, found: Flags, reason: str, *, rise: bool, test: Callable[[int], FailedTest] | None = None) -> None:
        """Flag the series in `found` that are not flagged yet, as a rise or a drop.

        `test` returns the failed test of a column; without it, the range of the day itself applies. Drops on a
        provisional day are ignored, because part of its spend may still be missing.
        """
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
        """Remove the flags of the series in `found` and set their reason."""
        self.rise[found] = self.drop[found] = False
        self.reason[found] = reason
