"""Migrations: what one series gains while others of its kind lose as much, or the other way, is no change of spend.

One day may look so by chance. So for some days it is only believed, and the series is judged by its old level again
where the others are back and it is not.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import NO_PARENT, Floats, Integers, Panel, true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import LevelChange, Levels

_NEWLY_BORN = 21
_SUCCEEDS = 35  # days within which a newcomer takes over
_ABOUT = 1.8  # times more or less
_CLEAR = 4  # deviations
_AS_USUAL = 1  # the same: a total that spend only moves within
_DOUBTED = 5  # days; less than a week, so that weeks before are from before it
_BACK = 0.35  # the share of a series' change that its others' changes still go against, at most
_STAYED = 0.6  # of what the series changed by, on the log scale


class _AssumedMigration(NamedTuple):
    shift: LevelChange
    others: Integers
    """Those that changed against it."""


class Migrations:
    """By series."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History, levels: Levels) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history
        self._levels = levels
        self._siblings = _siblings(panel)
        self._assumed: dict[int, _AssumedMigration] = {}

    def apply(self, day: Day) -> None:
        """Takes back what siblings' changes go against, and has it be the normal level."""
        scores = day.score.copy()
        for column in true_columns(day.flagged & day.outside_episode):
            total, siblings = self._panel.parent[column], self._siblings[column]
            if total == NO_PARENT or not len(siblings):
                continue
            if day.drop[column] and self._has_successor(column, siblings, day):
                self._levels.adopt(column, day, "migration")
                continue
            if abs(scores[total]) > _AS_USUAL:
                continue
            others, change = self._offsetting_siblings(column, day, scores)
            replaced = -change / day.difference[column].item()
            unchanged = abs(day.difference[total]) < 0.4 * abs(day.difference[column])
            if 0.7 <= replaced <= 1.5 or (unchanged and 0.5 <= replaced <= 2):
                self._assumed[column] = _AssumedMigration(self._levels.adopt(column, day, "migration"), others)

    def revoke_doubtful(self, day: Day) -> bool:
        """Takes back what was taken for a migration some days ago, where the others are back and it is not.

        Others that changed their levels for it get theirs back too. Says whether there was any: then the day is to be
        expected anew.
        """
        self._assumed = {column: one for column, one in self._assumed.items() if self._is_unrefuted(column, one, day)}
        revoke_doubtful = {column for column, one in self._assumed.items() if self._is_doubtful(column, one, day)}
        with_it = {
            other
            for column in revoke_doubtful
            for other in self._assumed[column].others.tolist()
            if other in self._assumed and self._assumed[other].shift.row == self._assumed[column].shift.row
        }
        for column in sorted(revoke_doubtful | with_it):
            self._levels.revert(column, self._assumed.pop(column).shift, day.row)
        return bool(revoke_doubtful)

    def _is_unrefuted(self, column: int, believed: _AssumedMigration, day: Day) -> bool:
        """Whether it is young, and nothing has changed the level since."""
        return bool(
            day.row - believed.shift.row <= _DOUBTED
            and self._levels.changed_row[column] == believed.shift.row
            and day.outside_episode[column]
        )

    def _is_doubtful(self, column: int, believed: _AssumedMigration, day: Day) -> bool:
        shift, others = believed
        level = self._history.level[shift.row, column]
        off = day.spend[column] - self._parameters.to_usd(level + day.weekday_effect[column])
        stayed = (self._history.deseasonalized[day.row, column] - level) / shift.change > _STAYED
        if not (stayed and off * shift.change > 0 and day.alive[column] and day.settled):
            return False
        return bool(-self._change_from_weeks_before(others, day).sum() / off < _BACK)

    def _has_successor(self, column: int, siblings: Integers, day: Day) -> bool:
        """Whether a newcomer spends about what a series lost since that one's first day."""
        for young in siblings[(day.age[siblings] >= 0) & (day.age[siblings] <= _SUCCEEDS)]:
            level = self._history.level[self._panel.born[young], column] + day.weekday_effect[column]
            lost = self._parameters.to_usd(level) - day.spend[column]
            if any(lost / _ABOUT < gained < lost * _ABOUT for gained in (day.spend[young], day.expected[young])):
                return True
        return False

    def _offsetting_siblings(self, column: int, day: Day, scores: Floats) -> tuple[Integers, float]:
        """The siblings that clearly changed the other way, and by how many US dollars."""
        siblings = self._siblings[column]
        change = self._change_from_weeks_before(siblings, day)
        clear = day.alive[siblings] & ((day.age[siblings] < _NEWLY_BORN) | (np.abs(scores[siblings]) > _CLEAR))
        against = clear & (change * day.difference[column] < 0)
        return siblings[against], change[against].sum().item()

    def _change_from_weeks_before(self, columns: Integers, day: Day) -> Floats:
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
