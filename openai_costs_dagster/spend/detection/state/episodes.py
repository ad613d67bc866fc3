"""What lasts longer than a day: a flagged day opens an event, and a level that holds becomes the normal one."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from openai_costs_dagster.spend.detection.panel import Integers, Panel, true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import LONG_AGO, Levels

_QUIET_DAYS = 2


class Episodes:
    """By series."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History, levels: Levels) -> None:
        count = len(panel.series)
        self._parameters = parameters
        self._history = history
        self._levels = levels
        self._run = np.zeros(count, int)
        self._quiet = np.zeros(count, int)
        self._opened = np.zeros(panel.spend.shape, bool)
        self._residuals: dict[int, list[float]] = defaultdict(list)
        self.last_is_rise = np.zeros(count, bool)
        """Whether the last flagged day was above what was expected."""
        self.began_row = np.full(count, LONG_AGO)
        """The first day of the last event."""

    @property
    def is_open(self) -> np.ndarray:
        """Which series are within an event."""
        return self._run > 0

    def lately(self, row: int) -> Integers:
        """How many events each series had in the weeks before a day, those that make no more difference left out."""
        opened: Integers = self._opened[max(0, row - self._parameters.recent_alert_days) : row].sum(0)
        return np.minimum(opened, self._parameters.max_recent_alerts)

    def size(self, column: int) -> float:
        """How far an open event's days are from what was expected, on the log scale."""
        return np.median(self._residuals[column]).item()

    def update(self, day: Day) -> None:
        """Opens, extends and closes events by what was flagged, and accepts levels that hold."""
        impact = self._parameters.minimum_impact_usd
        telling = (day.expected > impact) | (day.spend > impact)  # a weekend without spend ends no event
        self._quiet = np.where(day.flagged, 0, self._quiet + telling)
        self._run[(self._quiet >= _QUIET_DAYS) | (self._levels.changed_row == day.row)] = 0
        for column in true_columns(day.flagged):
            if self._run[column] == 0:
                self._opened[day.row, column] = True
                self.began_row[column] = day.began_row[column]
                self._residuals[column].clear()
                self._history.set_weights(column, day.began_row[column], day.row, 0)
            self._run[column] += 1
            self.last_is_rise[column] = day.rise[column]
            self._residuals[column].append(day.residual[column].item())
            self._accept_what_holds(column, day)

    def _accept_what_holds(self, column: int, day: Day) -> None:
        parameters, residuals = self._parameters, self._residuals[column]
        known = day.row - day.began_row[column]
        if known >= parameters.level_confirm_days:
            level = self._history.level[day.row, column]
            above = self._history.deseasonalized[day.began_row[column] : day.row + 1, column] - level
            self.accept(column, day.row, np.median(above).item(), kept=known + 1)
        elif day.drop[column] and len(residuals) >= parameters.level_drop_flags:
            self._levels.drop_row[column] = day.row
            self.accept(column, day.row, np.median(residuals[-3:]).item(), kept=3)
        elif len(residuals) >= parameters.level_rise_flags:
            lately = residuals[-parameters.level_rise_flags :]
            steady = max(lately) - min(lately) < max(5 * self._history.noise[column], 0.35)
            if steady or day.row - self.began_row[column] >= parameters.max_episode_days:
                self.accept(column, day.row, np.median(lately).item(), kept=parameters.level_rise_flags)

    def accept(self, column: int, row: int, change: float, *, kept: int) -> None:
        """Ends an event: its level is the normal one from its first day on, and its last days teach again."""
        self._levels.change(column, row, change, since=self.began_row[column].item())
        self._history.set_weights(column, row - kept + 1, row + 1, 1)
        self._run[column] = 0
