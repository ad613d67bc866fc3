"""Removes flags of recoveries: a return to an earlier normal level, or to the level of a recent finding."""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.episodes import Episodes
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import Levels

# The largest distance from an earlier level, on the log scale, at which a day has returned to the level.
_RETURN_TOLERANCE = 0.4
# The smallest share of the distance to an earlier level that a day must have covered to count as a return.
_RETURN_SHARE = 0.4
# The tolerance of a return in sigmas. For series with much noise, this tolerance is larger than `_RETURN_TOLERANCE` and
# `_STEEP_RISE_TOLERANCE`, and the larger tolerance applies.
_RETURN_SIGMAS = 2.5
# The largest difference between a slow fall and an earlier change of level that match, as a share of the change.
_SLOW_RETURN_SHARE = 0.25
# The largest distance below the level before a steep rise, on the log scale, at which a day has returned to the level.
_STEEP_RISE_TOLERANCE = 0.25
_RISE_DAYS = 14  # The number of days over which a steep rise of the level is measured.
# The number of newest days that are left out when a steep rise is searched, because they may belong to the fall.
_RISE_GAP_DAYS = 2

# A slow fall consists of several low days, of which none is flagged. The constants below define it.
_LOW_SIGMAS = 1.0  # The number of sigmas below the level from which a day is low.
_LOW_MEAN_SIGMAS = 3.5  # The number of sigmas below the level from which the mean of all low days shows a fall.
_MIN_LOW_DAYS, _MAX_LOW_DAYS = 3, 14


class Recoveries:
    """Removes flags of days on which a series returns to an earlier level."""

    def __init__(self, parameters: Parameters, history: History, levels: Levels, episodes: Episodes) -> None:
        self._parameters = parameters
        self._history = history
        self._levels = levels
        self._episodes = episodes

    def apply(self, day: Day) -> None:
        """Remove the flags of days that return to an earlier normal level, or stay at the level of a recent finding."""
        self._adopt_slow_recoveries(day)
        turned = day.outside_episode | (day.drop & self._episodes.last_is_rise)
        for column in true_columns(day.flagged & turned & (day.reason != "new")):
            change = self._change_to_earlier_level(column, day)
            if change is None and day.drop[column]:
                change = self._change_to_level_before_rise(column, day)
            if change is not None:
                self._levels.adopt(column, day, "recovery", change)
            elif self._accept_reported_level(column, day):
                day.unflag(column, "reported")

    def _adopt_slow_recoveries(self, day: Day) -> None:
        """Make an earlier level the normal level again if several low days show the return and none of them is flagged.

        Without this rule, the expected amount would stay too high for weeks after a long episode whose level had become
        normal.
        """
        days_since_change = day.row - self._levels.changed_row
        recent = (days_since_change > _MIN_LOW_DAYS - 1) & (days_since_change <= self._parameters.fall_back_days)
        if not (day.settled and recent.any()):
            return
        low = day.mature & ~day.is_rest_day & ~day.activity.is_intermittent & (day.score < -_LOW_SIGMAS)
        for column in true_columns(recent & low & day.outside_episode & ~day.flagged):
            first = self._first_low_row(column, day.row)
            if day.row - first + 1 < _MIN_LOW_DAYS:
                continue
            change = self._history.deviations(column, first, day.row).mean().item()
            clear = change < -_LOW_MEAN_SIGMAS * self._spread_of_mean(column, first, day)
            if clear and self._matches_earlier_level(column, day.row, change):
                self._levels.shift(column, day.row, change, since=first)
                day.residual[column] -= change
                day.score[column] = day.residual[column] / day.spread[column]
                day.reason[column] = "recovery"

    def _matches_earlier_level(self, column: int, row: int, change: float) -> bool:
        """Return whether a change ends near an earlier, lower level."""
        return any(
            row - left_row <= self._parameters.fall_back_days
            and back < 0
            and abs(change - back) < -_SLOW_RETURN_SHARE * back
            for left_row, back in self._levels.earlier(column)
        )

    def _first_low_row(self, column: int, row: int) -> int:
        """Return the row of the first of the consecutive low days that end with day `row`."""
        earliest = max(self._levels.changed_row[column] + 1, row - _MAX_LOW_DAYS + 1)
        days = slice(earliest, row)
        off = self._history.deseasonalized[days, column] - self._history.level[days, column]
        not_low = np.flatnonzero(off >= -_LOW_SIGMAS * self._history.noise[column])
        return int(earliest + not_low[-1] + 1 if len(not_low) else earliest)

    def _spread_of_mean(self, column: int, first: int, day: Day) -> float:
        """Return the standard deviation of the mean of the days since `first`, around the level before these days."""
        parameters, days = self._parameters, day.row - first + 1
        uncertainty = parameters.run_level_uncertainty * day.uncertainty[column].item()
        variance = parameters.mean_variance(days) + uncertainty
        spread: float = self._history.noise[column].item() * variance**0.5
        return spread

    def _change_to_earlier_level(self, column: int, day: Day) -> float | None:
        """Return the residual of a day that returned to an earlier level, or None if the day did not."""
        residual = day.residual[column]
        within = self._parameters.fall_back_days if day.drop[column] else self._parameters.rise_back_days
        tolerance = max(_RETURN_SIGMAS * day.spread[column], _RETURN_TOLERANCE)
        returned = any(
            day.row - left_row <= within
            and (residual - change) * np.sign(change) < tolerance
            and residual * np.sign(change) > _RETURN_SHARE * abs(change)
            for left_row, change in self._levels.earlier(column)
        )
        return residual.item() if returned else None

    def _change_to_level_before_rise(self, column: int, day: Day) -> float | None:
        """Return the residual of a day that fell to the level before a steep rise, or None if the day did not."""
        parameters = self._parameters
        window = slice(max(0, day.row - parameters.fall_back_days // 2), max(0, day.row - _RISE_GAP_DAYS))
        levels = self._history.level[window, column]
        if len(levels) <= _RISE_DAYS or day.spend[column] <= parameters.minimum_impact_usd:
            return None
        rise = levels[_RISE_DAYS:] - levels[:-_RISE_DAYS]
        before = levels[:-_RISE_DAYS][rise > parameters.steep_rise]
        tolerance = max(_RETURN_SIGMAS * day.spread[column], _STEEP_RISE_TOLERANCE)
        if not len(before) or before.min() - tolerance >= self._history.deseasonalized[day.row, column]:
            return None
        return day.residual[column].item()  # type: ignore[no-any-return]

    def _accept_reported_level(self, column: int, day: Day) -> bool:
        """Make the level of a recent finding the normal level if most days since the finding stayed at that level.

        Returns whether the level became the normal level.
        """
        parameters, began_row = self._parameters, self._episodes.began_row[column]
        days = day.row - began_row + 1
        if (
            days > parameters.level_memory_days
            or self._levels.changed_row[column] >= began_row
            or self._episodes.last_is_rise[column] != day.rise[column]
        ):
            return False
        above = self._history.deviations(column, began_row, day.row)
        change, sign = np.median(above).item(), 1 if day.rise[column] else -1
        if np.sort(above * sign)[days // 5] < parameters.level_hold_share * change * sign or change * sign < 0:
            return False
        if (above[-1] - change) * sign > parameters.level_break_sigmas * day.spread[column]:
            return False
        self._episodes.accept_level(column, day.row, change, used_days=days)
        return True
