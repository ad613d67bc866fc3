"""Migrations: what one series gains while others of its kind lose as much, or the other way, is no change of spend.

One day may look so by chance. So for some days it is only believed, and the series is judged by its old level again
where the others are back and it is not.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import NO_PARENT, Floats, Integers, Panel, columns_of
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import Memory
from openai_costs_dagster.spend.detection.state.levels import Levels, Move

_NEWLY_BORN = 21
_SUCCEEDS = 35  # days within which a newcomer takes over
_ABOUT = 1.8  # times more or less
_CLEAR = 4  # deviations
_AS_USUAL = 1  # the same: a total that spend only moves within
_DOUBTED = 5  # days; less than a week, so that weeks before are from before it
_BACK = 0.35  # the share of a series' change that its others' changes still go against, at most
_STAYED = 0.6  # of what the series changed by, on the log scale


class _Believed(NamedTuple):
    move: Move
    others: Integers
    """Those that changed against it."""


class Migrations:
    """By series."""

    def __init__(self, panel: Panel, tuning: Tuning, memory: Memory, levels: Levels) -> None:
        self._panel = panel
        self._tuning = tuning
        self._memory = memory
        self._levels = levels
        self._siblings = _siblings(panel)
        self._believed: dict[int, _Believed] = {}

    def recognise(self, day: Day) -> None:
        """Takes back what siblings' changes go against, and has it be the normal level."""
        scores = day.score.copy()
        for column in columns_of(day.out & day.fresh):
            total, siblings = self._panel.parent[column], self._siblings[column]
            if total == NO_PARENT or not len(siblings):
                continue
            if day.down[column] and self._has_successor(column, siblings, day):
                self._levels.take(column, day, "migration")
                continue
            if abs(scores[total]) > _AS_USUAL:
                continue
            others, change = self._against(column, day, scores)
            replaced = -change / day.difference[column].item()
            unchanged = abs(day.difference[total]) < 0.4 * abs(day.difference[column])
            if 0.7 <= replaced <= 1.5 or (unchanged and 0.5 <= replaced <= 2):
                self._believed[column] = _Believed(self._levels.take(column, day, "migration"), others)

    def doubted(self, day: Day) -> bool:
        """Takes back what was taken for a migration some days ago, where the others are back and it is not.

        Others that changed their levels for it get theirs back too. Says whether there was any: then the day is to be
        expected anew.
        """
        self._believed = {column: one for column, one in self._believed.items() if self._stands(column, one, day)}
        doubted = {column for column, one in self._believed.items() if self._is_doubtful(column, one, day)}
        with_it = {
            other
            for column in doubted
            for other in self._believed[column].others.tolist()
            if other in self._believed and self._believed[other].move.row == self._believed[column].move.row
        }
        for column in sorted(doubted | with_it):
            self._levels.take_back(column, self._believed.pop(column).move, day.row)
        return bool(doubted)

    def _stands(self, column: int, believed: _Believed, day: Day) -> bool:
        """Whether it is young, and nothing has changed the level since."""
        return bool(
            day.row - believed.move.row <= _DOUBTED
            and self._levels.moved[column] == believed.move.row
            and day.fresh[column]
        )

    def _is_doubtful(self, column: int, believed: _Believed, day: Day) -> bool:
        move, others = believed
        level = self._memory.level[move.row, column]
        off = day.spend[column] - self._tuning.dollars(level + day.week_effect[column])
        stayed = (self._memory.flat[day.row, column] - level) / move.change > _STAYED
        if not (stayed and off * move.change > 0 and day.alive[column] and day.settled):
            return False
        return bool(-self._change(others, day).sum() / off < _BACK)

    def _has_successor(self, column: int, siblings: Integers, day: Day) -> bool:
        """Whether a newcomer spends about what a series lost since that one's first day."""
        for young in siblings[(day.age[siblings] >= 0) & (day.age[siblings] <= _SUCCEEDS)]:
            level = self._memory.level[self._panel.born[young], column] + day.week_effect[column]
            lost = self._tuning.dollars(level) - day.spend[column]
            if any(lost / _ABOUT < gained < lost * _ABOUT for gained in (day.spend[young], day.expected[young])):
                return True
        return False

    def _against(self, column: int, day: Day, scores: Floats) -> tuple[Integers, float]:
        """The siblings that clearly changed the other way, and by how many US dollars."""
        siblings = self._siblings[column]
        change = self._change(siblings, day)
        clear = day.alive[siblings] & ((day.age[siblings] < _NEWLY_BORN) | (np.abs(scores[siblings]) > _CLEAR))
        against = clear & (change * day.difference[column] < 0)
        return siblings[against], change[against].sum().item()

    def _change(self, columns: Integers, day: Day) -> Floats:
        """Against the same weekday of the three weeks before, in US dollars."""
        weeks = self._panel.spend[[max(0, day.row - 7 * ago) for ago in (1, 2, 3)]][:, columns]
        change: Floats = day.spend[columns] - np.median(weeks, axis=0)
        return change


def _siblings(panel: Panel) -> list[Integers]:
    """By series: those that split the same total by the same dimension."""
    kinds: dict[tuple[int, str], list[int]] = defaultdict(list)
    for column, series in enumerate(panel.series):
        kinds[int(panel.parent[column]), series.level].append(column)
    return [
        np.array([other for other in kinds[int(panel.parent[column]), series.level] if other != column], int)
        for column, series in enumerate(panel.series)
    ]
