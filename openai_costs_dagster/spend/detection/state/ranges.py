"""The ranges of the tests that judge more than a day by itself, in US dollars, so that a finding can name its own.

For several days together the range is that of their sum: the days before the last one are taken as they were, and the
range ends where the last day would no longer have failed the test.
"""

from __future__ import annotations

from typing import NamedTuple

from openai_costs_dagster.spend.detection.panel import Floats, Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day, FailedTest
from openai_costs_dagster.spend.detection.state.history import History


class DayRun(NamedTuple):
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

    def __init__(self, panel: Panel, parameters: Parameters, history: History) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history

    def for_episode(self, column: int, day: Day, size: float, *, rise: bool) -> FailedTest:
        """The range of a day within an event of a size on the log scale: narrower than that of a day alone."""
        parameters, expected = self._parameters, day.expected[column].item()
        off = max(parameters.continuation_share * abs(size), parameters.continuation_sigmas * day.spread[column].item())
        predicted = self._history.log_spend[day.row, column] - day.residual[column]
        bound = parameters.to_usd(predicted + (off if rise else -off)).item()
        lower, upper = day.shown_lower[column].item(), day.upper[column].item()
        if rise:
            return FailedTest(1, expected, lower, max(bound, expected + parameters.minimum_impact_usd))
        return FailedTest(1, expected, min(bound, expected - parameters.minimum_impact_usd), upper)

    def for_run_rise(self, day: Day, run: DayRun, least: Floats, column: int) -> FailedTest:
        """The sums that are not unusually high; `least` is how far above the level the mean of the days must be."""
        days, change = day.row - run.first + 1, least[column].item()
        small = run.usual[column].item() + self._parameters.run_min_impact / days * self._parameters.minimum_impact_usd
        upper = self._before(column, day, run) + max(self._last_day(column, day, run, days * change), small)
        expected = min(self._sum(column, day, run), upper)
        return FailedTest(days, expected, min(self._sum(column, day, run, -change), expected), upper)

    def for_run_drop(self, day: Day, run: DayRun, least: Floats, column: int) -> FailedTest:
        """The sums that are not unusually low; `least` is how far below the level the mean of the days must be."""
        parameters, usual = self._parameters, run.usual[column].item()
        days, change = day.row - run.first + 1, least[column].item()
        small = min(
            usual * (1 - parameters.drop_share),
            usual - parameters.run_min_impact / days * parameters.minimum_impact_usd,
        )
        lower = self._before(column, day, run) + min(self._last_day(column, day, run, -days * change), small)
        expected = max(self._sum(column, day, run), lower)
        return FailedTest(days, expected, lower, max(self._sum(column, day, run, change), expected))

    def _before(self, column: int, day: Day, run: DayRun) -> float:
        before: float = self._panel.spend[run.first : day.row, column].sum().item()
        return before

    def _last_day(self, column: int, day: Day, run: DayRun, above: float) -> float:
        """What the last day costs where all days add up to being `above` the level."""
        last = above - run.above[:-1, column].sum()
        dollars: float = self._parameters.to_usd(run.reference[column] + day.weekday_effect[column] + last).item()
        return dollars

    def _sum(self, column: int, day: Day, run: DayRun, above: float = 0) -> float:
        """What the days cost where each of them is `above` the level."""
        days = slice(run.first, day.row + 1)
        week_effects = self._history.log_spend[days, column] - self._history.deseasonalized[days, column]
        usual: float = self._parameters.to_usd(run.reference[column] + week_effects + above).sum().item()
        return usual
