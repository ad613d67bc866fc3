"""Going back to a level that was normal before, or to one that was told of, is no finding."""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import columns_of
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.episodes import Events
from openai_costs_dagster.spend.detection.state.history import Memory
from openai_costs_dagster.spend.detection.state.levels import Levels

_NEAR = 0.4  # on the log scale, or of a change
_SAME = 0.25  # of a change
_TOLERANT = 2.5  # deviations
_LOW = 1.0  # deviations of a day ...
_CLEAR = 3.5  # ... and of all such days in a row
_FEWEST_LOW_DAYS, _MOST_LOW_DAYS = 3, 14


class Recoveries:
    """By series."""

    def __init__(self, tuning: Tuning, memory: Memory, levels: Levels, events: Events) -> None:
        self._tuning = tuning
        self._memory = memory
        self._levels = levels
        self._events = events

    def recognise(self, day: Day) -> None:
        """Takes back what returns to a level that was normal before, or that a finding of the last weeks told of."""
        self._recognise_slow_ones(day)
        turned = day.fresh | (day.down & self._events.rises)
        for column in columns_of(day.out & turned & (day.reason != "new")):
            change = self._returns(column, day)
            if change is None and day.down[column]:
                change = self._falls_back(column, day)
            if change is not None:
                self._levels.take(column, day, "recovery", change)
            elif self._was_told(column, day):
                day.acquit(column, "told")

    def _recognise_slow_ones(self, day: Day) -> None:
        """A fall to about an earlier level, over days of which none was low enough to be flagged."""
        moved = self._levels.moved
        lately = (moved < day.row - _FEWEST_LOW_DAYS + 1) & (day.row - moved <= self._tuning.remembered)
        if not (day.settled and lately.any()):
            return
        low = day.mature & ~day.unlike & ~day.rhythm.now_and_then & (day.score < -_LOW)
        may = lately & low & day.fresh & ~day.out
        for column in columns_of(may):
            first = self._low_since(column, day.row)
            if day.row - first + 1 < _FEWEST_LOW_DAYS:
                continue
            change = self._memory.above(column, first, day.row).mean().item()
            if self._is_earlier(column, day.row, change) and change < -_CLEAR * self._spread_of_mean(
                column, first, day
            ):
                self._levels.change(column, day.row, change, since=first)
                day.residual[column] -= change
                day.score[column] = day.residual[column] / day.spread[column]
                day.reason[column] = "recovery"

    def _is_earlier(self, column: int, row: int, change: float) -> bool:
        return any(
            row - since <= self._tuning.remembered and back < 0 and abs(change - back) < -_SAME * back
            for since, back in self._levels.earlier(column)
        )

    def _low_since(self, column: int, row: int) -> int:
        """The first of the days in a row, up to a day, that were low."""
        earliest = max(self._levels.moved[column] + 1, row - _MOST_LOW_DAYS + 1)
        days = slice(earliest, row)
        off = self._memory.flat[days, column] - self._memory.level[days, column]
        others = np.flatnonzero(off >= -_LOW * self._memory.noise[column])
        return int(earliest + others[-1] + 1 if len(others) else earliest)

    def _spread_of_mean(self, column: int, first: int, day: Day) -> float:
        tuning, days = self._tuning, day.row - first + 1
        variance = tuning.of_a_mean(days) + tuning.reference_uncertainty * day.uncertainty[column].item()
        spread: float = self._memory.noise[column].item() * variance**0.5
        return spread

    def _returns(self, column: int, day: Day) -> float | None:
        """The change to a level that an accepted change had left."""
        residual = day.residual[column]
        within = self._tuning.remembered if day.down[column] else self._tuning.returns
        tolerance = max(_TOLERANT * day.spread[column], _NEAR)
        near = [
            change
            for since, change in self._levels.earlier(column)
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
        tolerance = max(_TOLERANT * day.spread[column], 0.25)
        if not len(before) or before.min() - tolerance >= self._memory.flat[day.row, column]:
            return None
        return day.residual[column].item()  # type: ignore[no-any-return]

    def _was_told(self, column: int, day: Day) -> bool:
        """Whether most days since an event of the last weeks lie where this one does: accepts that as the level."""
        tuning, began = self._tuning, self._events.began[column]
        days = day.row - began + 1
        if days > tuning.told or self._levels.moved[column] >= began or self._events.rises[column] != day.up[column]:
            return False
        above = self._memory.above(column, began, day.row)
        change, sign = np.median(above).item(), 1 if day.up[column] else -1
        if np.sort(above * sign)[days // 5] < tuning.stayed * change * sign or change * sign < 0:
            return False
        if (above[-1] - change) * sign > tuning.beyond * day.spread[column]:
            return False
        self._events.accept(column, day.row, change, kept=days)
        return True
