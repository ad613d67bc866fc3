"""Tracks episodes of unusual spend: consecutive flagged days of a series.

A flagged day opens an episode. If the spend stays at the same unusual level for several days, this level becomes the
normal level and the episode closes.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from openai_costs_dagster.spend.detection.panel import Integers, Panel, true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import LONG_AGO, Levels

_CLOSE_AFTER_DAYS = 2  # The number of consecutive unflagged days after which an episode closes.
_DROP_LEVEL_DAYS = 3  # The number of last days whose median is the new level after a drop.
# The largest spread of flagged days that agree on a level, in standard deviations of the noise.
_STEADY_NOISES = 5
# The largest spread of flagged days that agree on a level, on the log scale, for series with little noise.
_STEADY_RANGE = 0.35


class Episodes:
    """The open and past episodes of all series."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History, levels: Levels) -> None:
        count = len(panel.series)
        self._parameters = parameters
        self._history = history
        self._levels = levels
        self._flagged_days = np.zeros(count, int)
        self._unflagged_days = np.zeros(count, int)
        self._opened = np.zeros(panel.spend.shape, bool)
        self._residuals: dict[int, list[float]] = defaultdict(list)
        self.last_is_rise = np.zeros(count, bool)
        """Whether the last flagged day of each series was a rise."""
        self.began_row = np.full(count, LONG_AGO)
        """The row of the first day of the last episode of each series."""

    @property
    def is_open(self) -> np.ndarray:
        """Whether each series has an open episode."""
        return self._flagged_days > 0

    def recent_alerts(self, row: int) -> Integers:
        """Return how many episodes of each series opened in the last `recent_alert_days` days, at most
        `max_recent_alerts`.
        """
        opened: Integers = self._opened[max(0, row - self._parameters.recent_alert_days) : row].sum(0)
        return np.minimum(opened, self._parameters.max_recent_alerts)

    def size(self, column: int) -> float:
        """Return the median residual of the open episode of a series, on the log scale."""
        return np.median(self._residuals[column]).item()

    def update(self, day: Day) -> None:
        """Open, extend and close episodes by the flags of a day, and make lasting levels the normal levels."""
        impact = self._parameters.minimum_impact_usd
        # A day on which the series is not expected to spend, such as a weekend, does not count as an unflagged day.
        counts = (day.expected > impact) | (day.spend > impact)
        self._unflagged_days = np.where(day.flagged, 0, self._unflagged_days + counts)
        closed = (self._unflagged_days >= _CLOSE_AFTER_DAYS) | (self._levels.changed_row == day.row)
        self._flagged_days[closed] = 0
        for column in true_columns(day.flagged):
            if self._flagged_days[column] == 0:
                self._opened[day.row, column] = True
                self.began_row[column] = day.began_row[column]
                self._residuals[column].clear()
                # A test of several days flags only the last day. The earlier days of the finding have counted as normal
                # so far, so their weights are set to zero now.
                self._history.set_weights(column, day.began_row[column], day.row, 0)
            self._flagged_days[column] += 1
            self.last_is_rise[column] = day.rise[column]
            self._residuals[column].append(day.residual[column].item())
            self._accept_lasting_level(column, day)

    def _accept_lasting_level(self, column: int, day: Day) -> None:
        """Make the level of the episode the normal level if a long run of days or enough flagged days confirm it."""
        parameters, residuals = self._parameters, self._residuals[column]
        run_days = day.row - day.began_row[column]
        if run_days >= parameters.level_confirm_days:
            level = self._history.level[day.row, column]
            above = self._history.deseasonalized[day.began_row[column] : day.row + 1, column] - level
            self.accept_level(column, day.row, np.median(above).item(), used_days=run_days + 1)
        elif day.drop[column] and len(residuals) >= parameters.level_drop_flags:
            self._levels.drop_row[column] = day.row
            change = np.median(residuals[-_DROP_LEVEL_DAYS:]).item()
            self.accept_level(column, day.row, change, used_days=_DROP_LEVEL_DAYS)
        elif len(residuals) >= parameters.level_rise_flags:
            last = residuals[-parameters.level_rise_flags :]
            steady = max(last) - min(last) < max(_STEADY_NOISES * self._history.noise[column], _STEADY_RANGE)
            if steady or day.row - self.began_row[column] >= parameters.max_episode_days:
                self.accept_level(column, day.row, np.median(last).item(), used_days=parameters.level_rise_flags)

    def accept_level(self, column: int, row: int, change: float, *, used_days: int) -> None:
        """Close an episode, and make its level the normal level from its first day on.

        The last `used_days` days of the episode regain their full weight in the baseline.
        """
        self._levels.shift(column, row, change, since=self.began_row[column].item())
        self._history.set_weights(column, row - used_days + 1, row + 1, 1)
        self._flagged_days[column] = 0
