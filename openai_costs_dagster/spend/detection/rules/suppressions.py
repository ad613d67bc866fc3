"""Suppresses findings on holidays, on days on which most series rest, at month ends and for series that wind down."""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.rules import holidays
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import Levels

# The share of the expected amount below which a drop on a holiday is an outage and stays flagged.
_OUTAGE_SHARE = 0.02
_HOLIDAY_RISE = 1.5  # The multiple of the expected amount up to which a rise on a holiday is suppressed.
# The number of days after a lower level has become normal for which further drops are suppressed.
_AFTER_DROP_DAYS = 14
# The number of days over which the fall of a level is measured to recognize a series that winds down.
_WINDING_DOWN_DAYS = 14

# A day counts as a common day of rest if at least half of the series spend clearly less than expected. An organization
# with fewer than four series is too small for this conclusion.
_MIN_SERIES = 4
_RESTING_SIGMAS = 1.5
_RESTING_SHARE = 0.5

_MONTHS = 4  # The number of earlier month ends with which a rise at a month end is compared.
# The share of a rise, on the log scale, that an earlier month end must reach to count as similar.
_MONTH_END_SHARE = 0.5
_MONTH_END_PLACES = 2 * holidays.MONTH_END_DAYS  # The number of days around the turn of a month that are recorded.


class Suppressions:
    """Removes flags that holidays, common rest, month ends or a decline explain, for the series of one panel."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History, levels: Levels) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history
        self._levels = levels
        # An array of deviations from the expected spend, by month (the current month last), position around the turn of
        # the month, and series.
        self._month_ends = np.full((_MONTHS + 1, _MONTH_END_PLACES, len(panel.series)), np.nan)
        self._organizations = [panel.organization == column for column in np.unique(panel.organization)]

    def apply(self, day: Day) -> None:
        """Remove the flags that a holiday, common rest, a month end or a lasting decline explains."""
        if holidays.is_holiday(day.date):
            drop = day.drop & (day.spend > _OUTAGE_SHARE * day.expected)
            day.suppressed |= drop | (day.rise & (day.spend < _HOLIDAY_RISE * day.expected))
            day.is_rest_day |= day.score < -self._parameters.rest_day_sigmas
        day.suppressed |= day.drop & (day.row - self._levels.drop_row <= _AFTER_DROP_DAYS)
        if day.row > _WINDING_DOWN_DAYS:
            fallen = self._history.level[day.row - _WINDING_DOWN_DAYS] - self._history.level[day.row]
            day.suppressed |= day.drop & (fallen > self._parameters.winding_down_drop)
        self._suppress_common_rest(day)
        self._suppress_month_end(day)
        day.unflag(day.suppressed, "suppressed")

    def _suppress_common_rest(self, day: Day) -> None:
        """Suppress drops if most series of an organization rest, as on a holiday that the calendar does not contain."""
        counted = day.mature & self._panel.is_leaf & (day.expected > self._parameters.floor_usd)
        for members in self._organizations:
            scores = day.score[counted & members]
            if len(scores) >= _MIN_SERIES and (scores < -_RESTING_SIGMAS).mean() >= _RESTING_SHARE:
                day.suppressed |= members & day.drop
                day.is_rest_day |= members & (day.score < -self._parameters.rest_day_sigmas)

    def _suppress_month_end(self, day: Day) -> None:
        """Suppress rises if at least half of the earlier month ends rose on about the same days."""
        position = holidays.month_position(day.date)
        if position is None:
            return
        place = position + holidays.MONTH_END_DAYS
        if place == 0:
            self._month_ends = np.roll(self._month_ends, -1, axis=0)
            self._month_ends[-1] = np.nan
        # The rise of a month end may come a day earlier or later, so the neighboring days of earlier months count as
        # well.
        around = self._month_ends[:-1, max(0, place - 1) : place + 2]
        known = np.isfinite(around).any(1).sum(0)
        similar = (around > _MONTH_END_SHARE * day.residual).any(1).sum(0)
        day.suppressed |= day.rise & (similar > 0) & (2 * similar >= known)
        counted = day.mature & (day.expected > self._parameters.floor_usd)
        self._month_ends[-1, place] = np.where(counted, day.residual, np.nan)
