"""What excuses a suspicious day: holidays, common rest, ends of months, migrations. None accuses."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from openai_costs_dagster.spend.detection import calendar
from openai_costs_dagster.spend.detection.day import Day
from openai_costs_dagster.spend.detection.events import Events
from openai_costs_dagster.spend.detection.memory import Memory
from openai_costs_dagster.spend.detection.panel import NO_PARENT, Floats, Integers, Panel, columns_of
from openai_costs_dagster.spend.detection.tuning import Tuning

_RESTS = 0.02  # of what was expected: below it a day is an outage, whatever the calendar says
_HOLIDAY_RISE = 1.5
_STILL_FALLING = 14  # days after a lower level was accepted
_FEWEST_SERIES = 4
_MONTHS_KEPT = 4
_AS_HIGH = 0.5  # of the rise, on the log scale
_PLACES = 2 * calendar.CLOSE_TO_THE_END
_NEWLY_BORN = 21
_SUCCEEDS = 35  # days within which a newcomer takes over
_ABOUT = 1.8  # times more or less
_TWO_WEEKS = 14
_CLEAR = 4  # deviations
_AS_USUAL = 1  # the same: a total that spend only moves within


class Excuses:
    """By series."""

    def __init__(self, panel: Panel, tuning: Tuning, memory: Memory, events: Events) -> None:
        self._panel = panel
        self._tuning = tuning
        self._memory = memory
        self._events = events
        self._turns = np.full((_MONTHS_KEPT + 1, _PLACES, len(panel.series)), np.nan)
        self._siblings = _siblings(panel)
        self._organizations = [panel.organization == one for one in np.unique(panel.organization)]

    def consider(self, day: Day) -> None:
        """Takes back what the calendar, the organization or a fall that goes on explains."""
        if calendar.is_holiday(day.date):
            rests = day.down & (day.spend > _RESTS * day.expected)
            day.excused |= rests | (day.up & (day.spend < _HOLIDAY_RISE * day.expected))
            day.unlike |= day.score < -self._tuning.rest
        day.excused |= day.down & (day.row - self._events.fell <= _STILL_FALLING)
        if day.row > _TWO_WEEKS:
            slid = self._memory.level[day.row - _TWO_WEEKS] - self._memory.level[day.row]
            day.excused |= day.down & (slid > self._tuning.slide)
        self._common_rest(day)
        self._month_end(day)
        day.acquit(day.excused, "excused")

    def _common_rest(self, day: Day) -> None:
        """Most of an organization resting at once is a holiday, wherever it is."""
        counted = day.mature & self._panel.is_leaf & (day.expected > self._tuning.floor)
        for ours in self._organizations:
            scores = day.score[counted & ours]
            if len(scores) >= _FEWEST_SERIES and (scores < -1.5).mean() >= 0.5:
                day.excused |= ours & day.down
                day.unlike |= ours & (day.score < -self._tuning.rest)

    def _month_end(self, day: Day) -> None:
        """What came around the same place of at least half of the months' ends before."""
        position = calendar.month_position(day.date)
        if position is None:
            return
        place = position + calendar.CLOSE_TO_THE_END
        if place == 0:
            self._turns = np.roll(self._turns, -1, axis=0)
            self._turns[-1] = np.nan
        around = self._turns[:-1, max(0, place - 1) : place + 2]
        known = np.isfinite(around).any(1).sum(0)
        came = (around > _AS_HIGH * day.residual).any(1).sum(0)
        day.excused |= day.up & (came > 0) & (2 * came >= known)
        self._turns[-1, place] = np.where(day.mature & (day.expected > self._tuning.floor), day.residual, np.nan)

    def recognise_migrations(self, day: Day) -> None:
        """What one series gains while others of its kind lose as much is no change of spend."""
        scores = day.score.copy()
        for column in columns_of(day.out & day.fresh):
            total, siblings = self._panel.parent[column], self._siblings[column]
            if total == NO_PARENT or not len(siblings):
                continue
            if day.down[column] and self._has_successor(column, siblings, day):
                self._events.change_level(column, day, "migration")
                continue
            if abs(scores[total]) > _AS_USUAL:
                continue
            replaced = self._replaced(column, siblings, day, scores)
            unchanged = abs(day.difference[total]) < 0.4 * abs(day.difference[column])
            if 0.7 <= replaced <= 1.5 or (unchanged and 0.5 <= replaced <= 2):
                self._events.change_level(column, day, "migration")

    def _has_successor(self, column: int, siblings: Integers, day: Day) -> bool:
        """Whether a newcomer spends about what a series lost since that one's first day."""
        for young in siblings[(day.age[siblings] >= 0) & (day.age[siblings] <= _SUCCEEDS)]:
            level = self._memory.level[self._panel.born[young], column] + day.week_effect[column]
            lost = self._tuning.dollars(level) - day.spend[column]
            if any(lost / _ABOUT < gained < lost * _ABOUT for gained in (day.spend[young], day.expected[young])):
                return True
        return False

    def _replaced(self, column: int, siblings: Integers, day: Day, scores: Floats) -> float:
        """Which share of a series' change the clear changes of its siblings go against."""
        weeks = self._panel.spend[[max(0, day.row - 7 * ago) for ago in (1, 2, 3)]][:, siblings]
        change = day.spend[siblings] - np.median(weeks, axis=0)
        clear = day.alive[siblings] & ((day.age[siblings] < _NEWLY_BORN) | (np.abs(scores[siblings]) > _CLEAR))
        difference = day.difference[column]
        share: float = (-change[clear & (change * difference < 0)].sum() / difference).item()
        return share


def _siblings(panel: Panel) -> list[Integers]:
    """By series: those that split the same total by the same dimension."""
    kinds: dict[tuple[int, str], list[int]] = defaultdict(list)
    for column, series in enumerate(panel.series):
        kinds[int(panel.parent[column]), series.level].append(column)
    return [
        np.array([other for other in kinds[int(panel.parent[column]), series.level] if other != column], int)
        for column, series in enumerate(panel.series)
    ]
