"""The level that is normal for each series, as far as it changes from one day to the next, and those before it.

The past is moved to where it would have been on the new level, so that weekdays and noise stay known.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import Memory

LONG_AGO = -(10**6)
_LEVELS_KEPT = 3
_ANOTHER = 0.1  # on the log scale: what is nearer is the same level


class Earlier(NamedTuple):
    """A level that was normal for a while."""

    since: int
    """The day on which it was left."""
    change: float
    """From the level now to that one, on the log scale."""


class Move(NamedTuple):
    """A change of a series' level, and what stood before it."""

    row: int
    change: float
    """On the log scale."""
    earlier: list[Earlier]
    normal_since: int
    moved: int


class Levels:
    """By series."""

    def __init__(self, panel: Panel, tuning: Tuning, memory: Memory) -> None:
        count = len(panel.series)
        self._tuning = tuning
        self._memory = memory
        self._earlier: dict[int, list[Earlier]] = defaultdict(list)
        self._normal_since = panel.born.copy()
        self.moved = np.full(count, LONG_AGO)
        """The day on which a series last changed its level."""
        self.fell = np.full(count, LONG_AGO)
        """The day on which an event's lower level was last accepted."""

    def earlier(self, column: int) -> list[Earlier]:
        """The levels that accepted changes had left."""
        return self._earlier[column]

    def take(self, column: int, day: Day, reason: str, change: float | None = None) -> Move:
        """Takes the day's level, or one that was known before, for the normal one at once."""
        change = day.residual[column].item() if change is None else change
        since, moved = self._normal_since[column].item(), self.moved[column].item()
        before = Move(day.row, change, self._earlier[column], since, moved)
        self.change(column, day.row, change, since=day.row)
        day.residual[column] = day.score[column] = 0
        day.acquit(column, reason)
        return before

    def take_back(self, column: int, move: Move, row: int) -> None:
        """Has the level before a change be the normal one again; days since it until before `row` teach none."""
        self._memory.move(column, move.row, -move.change)
        self._memory.level[move.row + 1 : row + 1, column] -= move.change
        self._memory.weigh(column, move.row, row, 0)
        self._earlier[column] = move.earlier
        self._normal_since[column], self.moved[column] = move.normal_since, move.moved

    def change(self, column: int, row: int, change: float, *, since: int) -> None:
        """Has the level be another one from a day on, known on day `row`.

        A level counts as one to go back to when it was the normal one for a while.
        """
        self._memory.move(column, since, change)
        earlier = [Earlier(left, back - change) for left, back in self._earlier[column]]
        if row - self._normal_since[column] >= self._tuning.mature:
            earlier.append(Earlier(row, -change))
        self._earlier[column] = [one for one in earlier if abs(one.change) > _ANOTHER][-_LEVELS_KEPT:]
        self._normal_since[column] = self.moved[column] = row
