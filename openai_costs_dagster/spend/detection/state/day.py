"""The day under evaluation: the predicted and actual spend, and the flags, of all series."""

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
REASONS: Any = np.dtype("U12")  # The longest reason, "intermittent", has 12 characters.


class FailedTest(NamedTuple):
    """The statistical test that flagged a day, with its own bounds in US dollars.

    The spend of the last `days` days lies outside the range from `lower` to `upper`, and differs from `expected` by at
    least the minimum impact.
    """

    days: int
    expected: float
    lower: float
    upper: float
    total: int = NO_PARENT
    """The column of the total whose rise led to the flag of a new series, or `NO_PARENT`."""


@dataclass
class Day:
    """The evaluation of one day. Every array has one value per series.

    Amounts are in US dollars. `residual`, `weekday_effect` and `spread` are on the log scale. A rule that flags a
    series sets `rise` or `drop` and the `reason`, and also `began_row` if earlier days belong to the same finding. A
    rule that removes a flag clears `rise` and `drop`. If the day must not influence later expectations, the rule also
    sets `suppressed`.
    """

    row: int
    date: dt.date
    spend: Floats
    age: Integers
    """The number of days since the first spend, or a negative number before it."""
    alive: Flags
    """Whether the day lies between the first spend of the series and the last known day of its organization."""
    mature: Flags
    """Whether the series is old enough to be compared with its own history."""
    settled: bool
    """Whether OpenAI is no longer expected to change the costs of the day."""
    activity: Activity
    uncertainty: Floats
    """The variance of the prediction, in units of the noise's variance."""
    spread: Floats
    """The standard deviation of the residual, which combines the noise and the uncertainty of the prediction."""
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
    """Whether no episode of the series was open at the start of the day."""
    began_row: Integers
    """The row of the first day that belongs to the finding."""
    rise: Flags
    """Whether the series is flagged because it spent more than expected."""
    drop: Flags
    """Whether the series is flagged because it spent less than expected."""
    suppressed: Flags
    """Whether the day is unflagged for a reason such as a holiday, and must not influence later expectations."""
    is_rest_day: Flags
    """Whether the series rests along with most others, so that the day must not influence later expectations."""
    reason: Reasons
    tests: dict[int, FailedTest] = field(default_factory=dict)
    """The failed tests that use other bounds than `lower` and `upper`, by column."""

    @property
    def flagged(self) -> Flags:
        """Whether each series is flagged, as a rise or as a drop."""
        return self.rise | self.drop

    @property
    def difference(self) -> Floats:
        """The actual spend minus the expected spend, in US dollars."""
        return self.spend - self.expected

    def is_mostly_active(self, share: float, window: int) -> Flags:
        """Return whether each series spent on at least `share` of the last `window` days, or of its days if it is
        younger.
        """
        return self.activity.active_days >= share * np.minimum(self.age, window)

    @property
    def shown_lower(self) -> Floats:
        """The lower bound of the range that people see, which is negative only on a day whose net cost is negative."""
        return np.where(self.spend < 0, self.lower, np.maximum(self.lower, 0))

    def failed_test(self, column: int) -> FailedTest:
        """Return the test that flagged a series, by default the range of the day itself."""
        bounds = (self.expected[column].item(), self.shown_lower[column].item(), self.upper[column].item())
        return self.tests.get(column) or FailedTest(1, *bounds)

    def flag(self, found: Flags, reason: str, *, rise: bool, test: Callable[[int], FailedTest] | None = None) -> None:
        """Flag the series in `found` that are not flagged yet, as a rise or as a drop.

        `test` returns the failed test of a column. Without `test`, the range of the day itself is the failed test.
        Drops on a provisional day are ignored, because part of its spend may still be missing.
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
        """Remove the flags of the series in `found`, and set the reason why they are not flagged."""
        self.rise[found] = self.drop[found] = False
        self.reason[found] = reason
