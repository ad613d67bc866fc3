"""What lasts longer than a day: events, the levels that they become, and the levels that were there before.

A flagged day opens an event. A level that holds becomes the normal one, and the past is moved to where it would have
been, so that weekdays and noise stay known. Going back to a level that was normal before is a recovery.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.day import Day
from openai_costs_dagster.spend.detection.memory import Memory
from openai_costs_dagster.spend.detection.panel import Panel, columns_of
from openai_costs_dagster.spend.detection.tuning import Tuning

LONG_AGO = -(10**6)
_QUIET_DAYS = 2
_LEVELS_KEPT = 3
_NEAR = 0.4  # on the log scale


class Move(NamedTuple):
    """A change of a series' level, and what stood before it."""

    row: int
    change: float
    """On the log scale."""
    earlier: list[tuple[int, float]]
    normal_since: int
    moved: int


class Events:
    """By series."""

    def __init__(self, panel: Panel, tuning: Tuning, memory: Memory) -> None:
        count = len(panel.series)
        self._tuning = tuning
        self._memory = memory
        self._run = np.zeros(count, int)
        self._rises = np.zeros(count, bool)
        self._began = np.full(count, LONG_AGO)
        self._quiet = np.zeros(count, int)
        self._residuals: dict[int, list[float]] = defaultdict(list)
        self._earlier: dict[int, list[tuple[int, float]]] = defaultdict(list)
        self._normal_since = panel.born.copy()
        self.moved = np.full(count, LONG_AGO)
        """The day on which a series last changed its level."""
        self.fell = np.full(count, LONG_AGO)
        """The day on which a lower level was last accepted."""

    @property
    def is_open(self) -> np.ndarray:
        """Which series are within an event."""
        return self._run > 0

    def size(self, column: int) -> float:
        """How far an open event's days are from what was expected, on the log scale."""
        return np.median(self._residuals[column]).item()

    def recognise_recoveries(self, day: Day) -> None:
        """Takes back what returns to a level that was normal before."""
        turned = day.fresh | (day.down & self._rises)
        for column in columns_of(day.out & turned & (day.reason != "new")):
            change = self._returns(column, day)
            if change is None and day.down[column]:
                change = self._falls_back(column, day)
            if change is not None:
                self.change_level(column, day, "recovery", change)
            elif self._was_told(column, day):
                day.acquit(column, "told")

    def _was_told(self, column: int, day: Day) -> bool:
        """Whether most days since an event of the last weeks lie where this one does: accepts that as the level."""
        began, days = self._began[column], day.row - self._began[column] + 1
        if days > self._tuning.told or self.moved[column] >= began or self._rises[column] != day.up[column]:
            return False
        above = self._memory.flat[began : day.row + 1, column] - self._memory.level[began, column]
        change, sign = np.median(above).item(), 1 if day.up[column] else -1
        if np.sort(above * sign)[days // 5] < self._tuning.stayed * change * sign or change * sign < 0:
            return False
        self._accept(column, day.row, change, kept=days)
        return True

    def _returns(self, column: int, day: Day) -> float | None:
        """The change to a level that an accepted change had left."""
        residual = day.residual[column]
        within = self._tuning.remembered if day.down[column] else self._tuning.returns
        tolerance = max(2.5 * day.spread[column], _NEAR)
        near = [
            change
            for since, change in self._earlier[column]
            if day.row - since <= within
            and (residual - change) * np.sign(change) < tolerance
            and residual * np.sign(change) > _NEAR * abs(change)
        ]
        return residual.item() if near else None

    def _falls_back(self, column: int, day: Day) -> float | None:
        """The change to a level from which the baseline itself had risen steeply."""
        tuning = self._tuning
        levels = self._memory.level[max(0, day.row - tuning.remembered // 2) : max(0, day.row - 2), column]
        if len(levels) <= 14 or day.spend[column] <= tuning.minimum_impact:
            return None
        before = levels[:-14][levels[14:] - levels[:-14] > tuning.steep]
        tolerance = max(2.5 * day.spread[column], 0.25)
        if not len(before) or before.min() - tolerance >= self._memory.flat[day.row, column]:
            return None
        return day.residual[column].item()  # type: ignore[no-any-return]

    def change_level(self, column: int, day: Day, reason: str, change: float | None = None) -> Move:
        """Takes the day's level, or one that was known before, for the normal one at once."""
        change = day.residual[column].item() if change is None else change
        earlier, since, moved = self._earlier[column], self._normal_since[column].item(), self.moved[column].item()
        self._memory.move(column, day.row, change)
        self._remember_level(column, day.row, change)
        self._run[column] = 0
        day.residual[column] = day.score[column] = 0
        day.acquit(column, reason)
        return Move(day.row, change, earlier, since, moved)

    def take_back(self, column: int, move: Move, row: int) -> None:
        """Has the level before a change be the normal one again; days since it until before `row` teach nothing."""
        self._memory.move(column, move.row, -move.change)
        self._memory.level[move.row + 1 : row + 1, column] -= move.change
        self._memory.weigh(column, move.row, row, 0)
        self._earlier[column] = move.earlier
        self._normal_since[column], self.moved[column] = move.normal_since, move.moved

    def follow(self, day: Day) -> None:
        """Opens, extends and closes events by what was flagged, and accepts levels that hold."""
        impact = self._tuning.minimum_impact
        telling = (day.expected > impact) | (day.spend > impact)  # a weekend without spend ends no event
        self._quiet = np.where(day.out, 0, self._quiet + telling)
        self._run[self._quiet >= _QUIET_DAYS] = 0
        for column in columns_of(day.out):
            if self._run[column] == 0:
                self._began[column] = day.began[column]
                self._residuals[column].clear()
                self._memory.weigh(column, day.began[column], day.row, 0)
            self._run[column] += 1
            self._rises[column] = day.up[column]
            self._residuals[column].append(day.residual[column].item())
            self._accept_what_holds(column, day)

    def _accept_what_holds(self, column: int, day: Day) -> None:
        tuning, residuals = self._tuning, self._residuals[column]
        known = day.row - day.began[column]
        if known >= tuning.held:
            level = self._memory.level[day.row, column]
            above = self._memory.flat[day.began[column] : day.row + 1, column] - level
            self._accept(column, day.row, np.median(above).item(), kept=known + 1)
        elif day.down[column] and len(residuals) >= tuning.steady_down:
            self.fell[column] = day.row
            self._accept(column, day.row, np.median(residuals[-3:]).item(), kept=3)
        elif len(residuals) >= tuning.steady:
            lately = residuals[-tuning.steady :]
            steady = max(lately) - min(lately) < max(5 * self._memory.noise[column], 0.35)
            if steady or day.row - self._began[column] >= tuning.longest_event:
                self._accept(column, day.row, np.median(lately).item(), kept=tuning.steady)

    def _accept(self, column: int, row: int, change: float, *, kept: int) -> None:
        self._memory.move(column, self._began[column], change)
        self._memory.weigh(column, row - kept + 1, row + 1, 1)
        self._remember_level(column, row, change)
        self._run[column] = 0

    def _remember_level(self, column: int, row: int, change: float) -> None:
        """A level counts as one to go back to when it was the normal one for a while."""
        earlier = [(since, back - change) for since, back in self._earlier[column]]
        if row - self._normal_since[column] >= self._tuning.mature:
            earlier.append((row, -change))
        self._earlier[column] = [(since, back) for since, back in earlier if abs(back) > 0.1][-_LEVELS_KEPT:]
        self._normal_since[column] = row
        self.moved[column] = row
