"""Computes the ranges in US dollars that findings over several days display.

The range of a run of days applies to the sum of the days. A bound of the range is the sum at which the last day would
have passed the test, while the earlier days keep their spend.
"""

from __future__ import annotations

from typing import NamedTuple

from openai_costs_dagster.spend.detection.panel import Floats, Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day, FailedTest
from openai_costs_dagster.spend.detection.state.history import History


class DayRun(NamedTuple):
    """A run of days that ends with the evaluated day and is tested as a whole. Arrays have one value per series."""

    first: int
    """The row of the first day of the run."""
    reference: Floats
    """The level before the first day of the run, on the log scale."""
    usual: Floats
    """The expected spend of the last day, in US dollars."""
    above: Floats
    """The distance of each day above the level before the run, on the log scale, in the shape ``[day, series]``."""


class Ranges:
    """Computes the displayed ranges for the series of one panel."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history

    def for_episode(self, column: int, day: Day, size: float, *, rise: bool) -> FailedTest:
        """Return the range of a day that continues an episode, which is narrower than the range of any other day.

        `size` is the median residual of the episode, on the log scale.
        """
        parameters, expected = self._parameters, day.expected[column].item()
        off = max(parameters.continuation_share * abs(size), parameters.continuation_sigmas * day.spread[column].item())
        predicted = self._history.log_spend[day.row, column] - day.residual[column]
        bound = parameters.to_usd(predicted + (off if rise else -off)).item()
        lower, upper = day.shown_lower[column].item(), day.upper[column].item()
        if rise:
            return FailedTest(1, expected, lower, max(bound, expected + parameters.minimum_impact_usd))
        return FailedTest(1, expected, min(bound, expected - parameters.minimum_impact_usd), upper)

    def for_run_rise(self, day: Day, run: DayRun, least: Floats, column: int) -> FailedTest:
        """Return the range of a run of days that is unusually high.

        `least` contains, for each series, the smallest mean distance above the level that is unusual, on the log scale.
        """
        days, change = day.row - run.first + 1, least[column].item()
        parameters = self._parameters
        small = run.usual[column].item() + parameters.run_min_impact / days * parameters.minimum_impact_usd
        upper = self._spend_before_last_day(column, day, run) + max(
            self._last_day(column, day, run, days * change), small
        )
        expected = min(self._expected_sum(column, day, run), upper)
        return FailedTest(days, expected, min(self._expected_sum(column, day, run, -change), expected), upper)

    def for_run_drop(self, day: Day, run: DayRun, least: Floats, column: int) -> FailedTest:
        """Return the range of a run of days that is unusually low.

        `least` contains, for each series, the smallest mean distance below the level that is unusual, on the log scale.
        """
        parameters, usual = self._parameters, run.usual[column].item()
        days, change = day.row - run.first + 1, least[column].item()
        small = min(
            usual * (1 - parameters.drop_share),
            usual - parameters.run_min_impact / days * parameters.minimum_impact_usd,
        )
        lower = self._spend_before_last_day(column, day, run) + min(
            self._last_day(column, day, run, -days * change), small
        )
        expected = max(self._expected_sum(column, day, run), lower)
        return FailedTest(days, expected, lower, max(self._expected_sum(column, day, run, change), expected))

    def _spend_before_last_day(self, column: int, day: Day, run: DayRun) -> float:
        before: float = self._panel.spend[run.first : day.row, column].sum().item()
        return before

    def _last_day(self, column: int, day: Day, run: DayRun, above: float) -> float:
        """Return the spend of the last day with which the distances of all days would add up to `above`."""
        last = above - run.above[:-1, column].sum()
        dollars: float = self._parameters.to_usd(run.reference[column] + day.weekday_effect[column] + last).item()
        return dollars

    def _expected_sum(self, column: int, day: Day, run: DayRun, above: float = 0) -> float:
        """Return the sum of the run if every day were `above` the level, on the log scale."""
        days = slice(run.first, day.row + 1)
        weekday_effects = self._history.log_spend[days, column] - self._history.deseasonalized[days, column]
        usual: float = self._parameters.to_usd(run.reference[column] + weekday_effects + above).sum().item()
        return usual
