"""Going back to a level that was normal before, or to one that was told of, is no finding."""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.episodes import Episodes
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import Levels

_NEAR = 0.4  # on the log scale, or of a change
_SAME = 0.25  # of a change
_TOLERANT = 2.5  # deviations
_LOW = 1.0  # deviations of a day ...
_CLEAR = 3.5  # ... and of all such days in a row
_FEWEST_LOW_DAYS, _MOST_LOW_DAYS = 3, 14


class Recoveries:
    """By series."""

    def __init__(self, parameters: Parameters, history: History, levels: Levels, episodes: Episodes) -> None:
        self._parameters = parameters
        self._history = history
        self._levels = levels
        self._episodes = episodes

    def apply(self, day: Day) -> None:
        """Takes back what returns to a level that was normal before, or that a finding of the last weeks told of."""
        self._adopt_slow_recoveries(day)
        turned = day.outside_episode | (day.drop & self._episodes.last_is_rise)
        for column in true_columns(day.flagged & turned & (day.reason != "new")):
            change = self._returns(column, day)
            if change is None and day.drop[column]:
                change = self._falls_back(column, day)
            if change is not None:
                self._levels.adopt(column, day, "recovery", change)
            elif self._is_reported_level(column, day):
                day.unflag(column, "reported")

    def _adopt_slow_recoveries(self, day: Day) -> None:
        """A fall to about an earlier level, over days of which none was low enough to be flagged."""
        changed_row = self._levels.changed_row
        lately = (changed_row < day.row - _FEWEST_LOW_DAYS + 1) & (
            day.row - changed_row <= self._parameters.fall_back_days
        )
        if not (day.settled and lately.any()):
            return
        low = day.mature & ~day.is_rest_day & ~day.activity.is_intermittent & (day.score < -_LOW)
        may = lately & low & day.outside_episode & ~day.flagged
        for column in true_columns(may):
            first = self._low_since(column, day.row)
            if day.row - first + 1 < _FEWEST_LOW_DAYS:
                continue
            change = self._history.above(column, first, day.row).mean().item()
            if self._is_earlier(column, day.row, change) and change < -_CLEAR * self._spread_of_mean(
                column, first, day
            ):
                self._levels.change(column, day.row, change, since=first)
                day.residual[column] -= change
                day.score[column] = day.residual[column] / day.spread[column]
                day.reason[column] = "recovery"

    def _is_earlier(self, column: int, row: int, change: float) -> bool:
        return any(
            row - since <= self._parameters.fall_back_days and back < 0 and abs(change - back) < -_SAME * back
            for since, back in self._levels.earlier(column)
        )

    def _low_since(self, column: int, row: int) -> int:
        """The first of the days in a row, up to a day, that were low."""
        earliest = max(self._levels.changed_row[column] + 1, row - _MOST_LOW_DAYS + 1)
        days = slice(earliest, row)
        off = self._history.deseasonalized[days, column] - self._history.level[days, column]
        others = np.flatnonzero(off >= -_LOW * self._history.noise[column])
        return int(earliest + others[-1] + 1 if len(others) else earliest)

    def _spread_of_mean(self, column: int, first: int, day: Day) -> float:
        parameters, days = self._parameters, day.row - first + 1
        variance = parameters.mean_variance(days) + parameters.run_level_uncertainty * day.uncertainty[column].item()
        spread: float = self._history.noise[column].item() * variance**0.5
        return spread

    def _returns(self, column: int, day: Day) -> float | None:
        """The change to a level that an accepted change had left."""
        residual = day.residual[column]
        within = self._parameters.fall_back_days if day.drop[column] else self._parameters.rise_back_days
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
        parameters = self._parameters
        levels = self._history.level[max(0, day.row - parameters.fall_back_days // 2) : max(0, day.row - 2), column]
        if len(levels) <= 14 or day.spend[column] <= parameters.minimum_impact_usd:
            return None
        before = levels[:-14][levels[14:] - levels[:-14] > parameters.steep_rise]
        tolerance = max(_TOLERANT * day.spread[column], 0.25)
        if not len(before) or before.min() - tolerance >= self._history.deseasonalized[day.row, column]:
            return None
        return day.residual[column].item()  # type: ignore[no-any-return]

    def _is_reported_level(self, column: int, day: Day) -> bool:
        """Whether most days since an event of the last weeks lie where this one does: accepts that as the level."""
        parameters, began_row = self._parameters, self._episodes.began_row[column]
        days = day.row - began_row + 1
        if (
            days > parameters.level_memory_days
            or self._levels.changed_row[column] >= began_row
            or self._episodes.last_is_rise[column] != day.rise[column]
        ):
            return False
        above = self._history.above(column, began_row, day.row)
        change, sign = np.median(above).item(), 1 if day.rise[column] else -1
        if np.sort(above * sign)[days // 5] < parameters.level_hold_share * change * sign or change * sign < 0:
            return False
        if (above[-1] - change) * sign > parameters.level_break_sigmas * day.spread[column]:
            return False
        self._episodes.accept(column, day.row, change, kept=days)
        return True
