"""The level that is normal for each series, as far as it changes from one day to the next, and those before it.

The past is moved to where it would have been on the new level, so that weekdays and noise stay known.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import History

LONG_AGO = -(10**6)
_LEVELS_KEPT = 3
_ANOTHER = 0.1  # on the log scale: what is nearer is the same level


class EarlierLevel(NamedTuple):
    """A level that was normal for a while."""

    since: int
    """The day on which it was left."""
    change: float
    """From the level now to that one, on the log scale."""


class LevelChange(NamedTuple):
    """A change of a series' level, and what stood before it."""

    row: int
    change: float
    """On the log scale."""
    earlier: list[EarlierLevel]
    normal_since: int
    changed_row: int


class Levels:
    """By series."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History) -> None:
        count = len(panel.series)
        self._parameters = parameters
        self._history = history
        self._earlier: dict[int, list[EarlierLevel]] = defaultdict(list)
        self._normal_since = panel.born.copy()
        self.changed_row = np.full(count, LONG_AGO)
        """The day on which a series last changed its level."""
        self.drop_row = np.full(count, LONG_AGO)
        """The day on which an event's lower level was last accepted."""

    def earlier(self, column: int) -> list[EarlierLevel]:
        """The levels that accepted changes had left."""
        return self._earlier[column]

    def adopt(self, column: int, day: Day, reason: str, change: float | None = None) -> LevelChange:
        """Takes the day's level, or one that was known before, for the normal one at once."""
        change = day.residual[column].item() if change is None else change
        since, changed_row = self._normal_since[column].item(), self.changed_row[column].item()
        before = LevelChange(day.row, change, self._earlier[column], since, changed_row)
        self.change(column, day.row, change, since=day.row)
        day.residual[column] = day.score[column] = 0
        day.unflag(column, reason)
        return before

    def revert(self, column: int, shift: LevelChange, row: int) -> None:
        """Has the level before a change be the normal one again; days since it until before `row` teach none."""
        self._history.shift(column, shift.row, -shift.change)
        self._history.level[shift.row + 1 : row + 1, column] -= shift.change
        self._history.set_weights(column, shift.row, row, 0)
        self._earlier[column] = shift.earlier
        self._normal_since[column], self.changed_row[column] = shift.normal_since, shift.changed_row

    def change(self, column: int, row: int, change: float, *, since: int) -> None:
        """Has the level be another one from a day on, known on day `row`.

        A level counts as one to go back to when it was the normal one for a while.
        """
        self._history.shift(column, since, change)
        earlier = [EarlierLevel(left, back - change) for left, back in self._earlier[column]]
        if row - self._normal_since[column] >= self._parameters.mature_age_days:
            earlier.append(EarlierLevel(row, -change))
        self._earlier[column] = [one for one in earlier if abs(one.change) > _ANOTHER][-_LEVELS_KEPT:]
        self._normal_since[column] = self.changed_row[column] = row
