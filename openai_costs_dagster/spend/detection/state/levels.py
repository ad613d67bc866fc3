"""The normal level of each series, the changes of this level, and earlier normal levels.

When a level changes, the past of the series is shifted by the same amount. The weekday effects and the noise therefore
stay valid.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import History

LONG_AGO = -(10**6)  # A row number before the first row, which stands for an event that has never occurred.
_MAX_EARLIER_LEVELS = 3  # The number of earlier levels that are stored per series.
_SAME_LEVEL = 0.1  # Levels that are closer than this count as the same level (log scale).


class EarlierLevel(NamedTuple):
    """An earlier normal level of a series."""

    left_row: int
    """The row of the day on which the series left the level."""
    change: float
    """The earlier level minus the current level, on the log scale."""


class LevelChange(NamedTuple):
    """A change of a series' level, with the previous state, so that the change can be reverted."""

    row: int
    change: float
    """The new level minus the previous level, on the log scale."""
    earlier: list[EarlierLevel]
    normal_since: int
    changed_row: int


class Levels:
    """The normal levels of all series."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History) -> None:
        count = len(panel.series)
        self._parameters = parameters
        self._history = history
        self._earlier: dict[int, list[EarlierLevel]] = defaultdict(list)
        self._normal_since = panel.first_row.copy()
        self.changed_row = np.full(count, LONG_AGO)
        """The row of the last change of level of each series."""
        self.drop_row = np.full(count, LONG_AGO)
        """The row of the last day on which the lower level of an episode became the normal level."""

    def earlier(self, column: int) -> list[EarlierLevel]:
        """Return the earlier normal levels of a series, the newest last."""
        return self._earlier[column]

    def adopt(self, column: int, day: Day, reason: str, change: float | None = None) -> LevelChange:
        """Make the level of the day the normal level at once, and remove the flag of the day.

        `change` is the new level minus the previous level, by default the residual of the day. The returned record can
        be passed to `revert`.
        """
        change = day.residual[column].item() if change is None else change
        since, changed_row = self._normal_since[column].item(), self.changed_row[column].item()
        before = LevelChange(day.row, change, self._earlier[column], since, changed_row)
        self.shift(column, day.row, change, since=day.row)
        day.residual[column] = day.score[column] = 0
        day.unflag(column, reason)
        return before

    def revert(self, column: int, before: LevelChange, row: int) -> None:
        """Restore the level before a change.

        The days from the change to `row`, excluding `row`, lose their weight in the baseline.
        """
        self._history.shift(column, before.row, -before.change)
        self._history.level[before.row + 1 : row + 1, column] -= before.change
        self._history.set_weights(column, before.row, row, 0)
        self._earlier[column] = before.earlier
        self._normal_since[column], self.changed_row[column] = before.normal_since, before.changed_row

    def shift(self, column: int, row: int, change: float, *, since: int) -> None:
        """Shift the level of a series by `change` from day `since` on, as was discovered on day `row`.

        The previous level becomes an earlier level if it was normal for at least `mature_age_days`.
        """
        self._history.shift(column, since, change)
        earlier = [EarlierLevel(left_row, back - change) for left_row, back in self._earlier[column]]
        if row - self._normal_since[column] >= self._parameters.mature_age_days:
            earlier.append(EarlierLevel(row, -change))
        distinct = [level for level in earlier if abs(level.change) > _SAME_LEVEL]
        self._earlier[column] = distinct[-_MAX_EARLIER_LEVELS:]
        self._normal_since[column] = self.changed_row[column] = row
