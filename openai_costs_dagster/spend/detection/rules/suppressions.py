"""What excuses a suspicious day: holidays, common rest, ends of months, a fall that goes on. None accuses."""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.rules import holidays
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import Levels

_RESTS = 0.02  # of what was expected: below it a day is an outage, whatever the calendar says
_HOLIDAY_RISE = 1.5
_STILL_FALLING = 14  # days after a lower level was accepted
_FEWEST_SERIES = 4
_MONTHS_KEPT = 4
_AS_HIGH = 0.5  # of the rise, on the log scale
_PLACES = 2 * holidays.CLOSE_TO_THE_END
_TWO_WEEKS = 14


class Suppressions:
    """By series."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History, levels: Levels) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history
        self._levels = levels
        self._turns = np.full((_MONTHS_KEPT + 1, _PLACES, len(panel.series)), np.nan)
        self._organizations = [panel.organization == one for one in np.unique(panel.organization)]

    def apply(self, day: Day) -> None:
        """Takes back what the calendar, the organization or a fall that goes on explains."""
        if holidays.is_holiday(day.date):
            rests = day.drop & (day.spend > _RESTS * day.expected)
            day.suppressed |= rests | (day.rise & (day.spend < _HOLIDAY_RISE * day.expected))
            day.is_rest_day |= day.score < -self._parameters.rest_day_sigmas
        day.suppressed |= day.drop & (day.row - self._levels.drop_row <= _STILL_FALLING)
        if day.row > _TWO_WEEKS:
            slid = self._history.level[day.row - _TWO_WEEKS] - self._history.level[day.row]
            day.suppressed |= day.drop & (slid > self._parameters.winding_down_drop)
        self._common_rest(day)
        self._month_end(day)
        day.unflag(day.suppressed, "suppressed")

    def _common_rest(self, day: Day) -> None:
        """Most of an organization resting at once is a holiday, wherever it is."""
        counted = day.mature & self._panel.is_leaf & (day.expected > self._parameters.floor_usd)
        for ours in self._organizations:
            scores = day.score[counted & ours]
            if len(scores) >= _FEWEST_SERIES and (scores < -1.5).mean() >= 0.5:
                day.suppressed |= ours & day.drop
                day.is_rest_day |= ours & (day.score < -self._parameters.rest_day_sigmas)

    def _month_end(self, day: Day) -> None:
        """What came around the same place of at least half of the months' ends before."""
        position = holidays.month_position(day.date)
        if position is None:
            return
        place = position + holidays.CLOSE_TO_THE_END
        if place == 0:
            self._turns = np.roll(self._turns, -1, axis=0)
            self._turns[-1] = np.nan
        around = self._turns[:-1, max(0, place - 1) : place + 2]
        known = np.isfinite(around).any(1).sum(0)
        came = (around > _AS_HIGH * day.residual).any(1).sum(0)
        day.suppressed |= day.rise & (came > 0) & (2 * came >= known)
        self._turns[-1, place] = np.where(
            day.mature & (day.expected > self._parameters.floor_usd), day.residual, np.nan
        )
