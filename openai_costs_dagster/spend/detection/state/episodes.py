"""What lasts longer than a day: a flagged day opens an event, and a level that holds becomes the normal one."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from openai_costs_dagster.spend.detection.panel import Integers, Panel, columns_of
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import Memory
from openai_costs_dagster.spend.detection.state.levels import LONG_AGO, Levels

_QUIET_DAYS = 2


class Events:
    """By series."""

    def __init__(self, panel: Panel, tuning: Tuning, memory: Memory, levels: Levels) -> None:
        count = len(panel.series)
        self._tuning = tuning
        self._memory = memory
        self._levels = levels
        self._run = np.zeros(count, int)
        self._quiet = np.zeros(count, int)
        self._opened = np.zeros(panel.spend.shape, bool)
        self._residuals: dict[int, list[float]] = defaultdict(list)
        self.rises = np.zeros(count, bool)
        """Whether the last flagged day was above what was expected."""
        self.began = np.full(count, LONG_AGO)
        """The first day of the last event."""

    @property
    def is_open(self) -> np.ndarray:
        """Which series are within an event."""
        return self._run > 0

    def lately(self, row: int) -> Integers:
        """How many events each series had in the weeks before a day, those that make no more difference left out."""
        opened: Integers = self._opened[max(0, row - self._tuning.lately) : row].sum(0)
        return np.minimum(opened, self._tuning.most_alerts)

    def size(self, column: int) -> float:
        """How far an open event's days are from what was expected, on the log scale."""
        return np.median(self._residuals[column]).item()

    def follow(self, day: Day) -> None:
        """Opens, extends and closes events by what was flagged, and accepts levels that hold."""
        impact = self._tuning.minimum_impact
        telling = (day.expected > impact) | (day.spend > impact)  # a weekend without spend ends no event
        self._quiet = np.where(day.out, 0, self._quiet + telling)
        self._run[(self._quiet >= _QUIET_DAYS) | (self._levels.moved == day.row)] = 0
        for column in columns_of(day.out):
            if self._run[column] == 0:
                self._opened[day.row, column] = True
                self.began[column] = day.began[column]
                self._residuals[column].clear()
                self._memory.weigh(column, day.began[column], day.row, 0)
            self._run[column] += 1
            self.rises[column] = day.up[column]
            self._residuals[column].append(day.residual[column].item())
            self._accept_what_holds(column, day)

    def _accept_what_holds(self, column: int, day: Day) -> None:
        tuning, residuals = self._tuning, self._residuals[column]
        known = day.row - day.began[column]
        if known >= tuning.held:
            level = self._memory.level[day.row, column]
            above = self._memory.flat[day.began[column] : day.row + 1, column] - level
            self.accept(column, day.row, np.median(above).item(), kept=known + 1)
        elif day.down[column] and len(residuals) >= tuning.steady_down:
            self._levels.fell[column] = day.row
            self.accept(column, day.row, np.median(residuals[-3:]).item(), kept=3)
        elif len(residuals) >= tuning.steady:
            lately = residuals[-tuning.steady :]
            steady = max(lately) - min(lately) < max(5 * self._memory.noise[column], 0.35)
            if steady or day.row - self.began[column] >= tuning.longest_event:
                self.accept(column, day.row, np.median(lately).item(), kept=tuning.steady)

    def accept(self, column: int, row: int, change: float, *, kept: int) -> None:
        """Ends an event: its level is the normal one from its first day on, and its last days teach again."""
        self._levels.change(column, row, change, since=self.began[column].item())
        self._memory.weigh(column, row - kept + 1, row + 1, 1)
        self._run[column] = 0
