"""The ranges of the tests that judge more than a day by itself, in US dollars, so that a finding can name its own.

For several days together the range is that of their sum: the days before the last one are taken as they were, and the
range ends where the last day would no longer have failed the test.
"""

from __future__ import annotations

from typing import NamedTuple

from openai_costs_dagster.spend.detection.panel import Floats, Panel
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.state.day import Day, FailedTest
from openai_costs_dagster.spend.detection.state.history import Memory


class Together(NamedTuple):
    """Days since `first` that are judged together, by series; on the log scale but for `usual`."""

    first: int
    reference: Floats
    """The level before the first of them."""
    usual: Floats
    """What the last day usually costs, in US dollars."""
    above: Floats
    """By day: how far it is above the level."""


class Ranges:
    """Of one panel."""

    def __init__(self, panel: Panel, tuning: Tuning, memory: Memory) -> None:
        self._panel = panel
        self._tuning = tuning
        self._memory = memory

    def of_event(self, column: int, day: Day, size: float, *, up: bool) -> FailedTest:
        """The range of a day within an event of a size on the log scale: narrower than that of a day alone."""
        tuning, expected = self._tuning, day.expected[column].item()
        off = max(tuning.continuing * abs(size), tuning.continuing_deviations * day.spread[column].item())
        predicted = self._memory.logs[day.row, column] - day.residual[column]
        bound = tuning.dollars(predicted + (off if up else -off)).item()
        lower, upper = day.shown_lower[column].item(), day.upper[column].item()
        if up:
            return FailedTest(1, expected, lower, max(bound, expected + tuning.minimum_impact))
        return FailedTest(1, expected, min(bound, expected - tuning.minimum_impact), upper)

    def of_rise(self, day: Day, together: Together, least: Floats, column: int) -> FailedTest:
        """The sums that are not unusually high; `least` is how far above the level the mean of the days must be."""
        days, change = day.row - together.first + 1, least[column].item()
        small = together.usual[column].item() + self._tuning.lasting / days * self._tuning.minimum_impact
        upper = self._before(column, day, together) + max(self._last_day(column, day, together, days * change), small)
        expected = min(self._sum(column, day, together), upper)
        return FailedTest(days, expected, min(self._sum(column, day, together, -change), expected), upper)

    def of_fall(self, day: Day, together: Together, least: Floats, column: int) -> FailedTest:
        """The sums that are not unusually low; `least` is how far below the level the mean of the days must be."""
        tuning, usual = self._tuning, together.usual[column].item()
        days, change = day.row - together.first + 1, least[column].item()
        small = min(usual * (1 - tuning.relative_down), usual - tuning.lasting / days * tuning.minimum_impact)
        lower = self._before(column, day, together) + min(self._last_day(column, day, together, -days * change), small)
        expected = max(self._sum(column, day, together), lower)
        return FailedTest(days, expected, lower, max(self._sum(column, day, together, change), expected))

    def _before(self, column: int, day: Day, together: Together) -> float:
        before: float = self._panel.spend[together.first : day.row, column].sum().item()
        return before

    def _last_day(self, column: int, day: Day, together: Together, above: float) -> float:
        """What the last day costs where all days add up to being `above` the level."""
        last = above - together.above[:-1, column].sum()
        dollars: float = self._tuning.dollars(together.reference[column] + day.week_effect[column] + last).item()
        return dollars

    def _sum(self, column: int, day: Day, together: Together, above: float = 0) -> float:
        """What the days cost where each of them is `above` the level."""
        days = slice(together.first, day.row + 1)
        week_effects = self._memory.logs[days, column] - self._memory.flat[days, column]
        usual: float = self._tuning.dollars(together.reference[column] + week_effects + above).sum().item()
        return usual
