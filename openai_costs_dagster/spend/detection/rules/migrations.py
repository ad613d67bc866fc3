"""Removes flags of migrations: a change that other series of the same project offset does not change the total spend.

A coincidence on a single day can look like a migration. A migration is therefore provisional for some days. If the
other series return to their old spend and the migrated series does not, the new level of the migrated series is
reverted. Without this reversal, coincidences would hide anomalies: a tenth of the missed amount in the benchmarks.
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

# A sibling that is at most this many days old offsets a change even without a significant deviation, because its own
# history is too short for one.
_NEW_DAYS = 21
_SUCCESSOR_DAYS = 35  # A series that is at most this many days old can be the successor of another series.
# A successor may spend at most this many times as much, and at least this fraction as much, as the other series lost.
_SUCCESSOR_FACTOR = 1.8
_CLEAR_SIGMAS = 4  # An older sibling offsets a change only if it deviates by this many sigmas.
_UNCHANGED_TOTAL_SIGMAS = 1  # A total counts as unchanged if it deviates by at most this many sigmas.
_OFFSET_RANGE = 0.7, 1.5  # The siblings must offset a share of the change that lies in this range.
_WIDE_OFFSET_RANGE = 0.5, 2  # This range replaces `_OFFSET_RANGE` on days on which the total changed little.
_SMALL_TOTAL_CHANGE = 0.4  # The total changed little if its change is below this share of the change of the series.
# A migration is provisional for this number of days. The number is less than a week, so that the weeks with which the
# siblings are compared end before the migration.
_PROVISIONAL_DAYS = 5
# The siblings have returned to their old spend if they offset less than this share of the deviation of the series.
_RETURNED_SHARE = 0.35
# The series has stayed at its new level if it deviates by more than this share of its change (log scale).
_STAYED_SHARE = 0.6


class _ProvisionalMigration(NamedTuple):
    before: LevelChange
    others: Integers
    """The columns of the siblings that offset the change."""


class Migrations:
    """Removes flags of migrations between the series of one panel."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History, levels: Levels) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history
        self._levels = levels
        self._siblings = _siblings(panel)
        self._provisional: dict[int, _ProvisionalMigration] = {}

    def apply(self, day: Day) -> None:
        """Remove the flags of series whose change is offset by siblings, and make their new level the normal level."""
        scores = day.score.copy()
        for column in true_columns(day.flagged & day.outside_episode):
            total, siblings = self._panel.parent[column], self._siblings[column]
            if total == NO_PARENT or not len(siblings):
                continue
            if day.drop[column] and self._has_successor(column, siblings, day):
                self._levels.adopt(column, day, "migration")
                continue
            if abs(scores[total]) > _UNCHANGED_TOTAL_SIGMAS:
                continue
            others, change = self._offsetting_siblings(column, day, scores)
            if self._is_offset(-change / day.difference[column].item(), column, day):
                before = self._levels.adopt(column, day, "migration")
                self._provisional[column] = _ProvisionalMigration(before, others)

    def _is_offset(self, share: float, column: int, day: Day) -> bool:
        """Return whether the change of a series counts as offset if its siblings offset `share` of the change."""
        low, high = _OFFSET_RANGE
        wide_low, wide_high = _WIDE_OFFSET_RANGE
        total = self._panel.parent[column]
        unchanged = abs(day.difference[total]) < _SMALL_TOTAL_CHANGE * abs(day.difference[column])
        return bool(low <= share <= high or (unchanged and wide_low <= share <= wide_high))

    def revert_coincidences(self, day: Day) -> bool:
        """Revert the new levels of provisional migrations that turned out to be coincidences.

        The levels of siblings that took part in the same migration are reverted too. Returns True if a level was
        reverted, in which case the expected spend of the day must be predicted again.
        """
        self._provisional = {
            column: migration
            for column, migration in self._provisional.items()
            if self._is_provisional(column, migration, day)
        }
        coincidences = {
            column for column, migration in self._provisional.items() if self._is_coincidence(column, migration, day)
        }
        partners = {
            other
            for column in coincidences
            for other in self._provisional[column].others.tolist()
            if other in self._provisional
            and self._provisional[other].before.row == self._provisional[column].before.row
        }
        for column in sorted(coincidences | partners):
            self._levels.revert(column, self._provisional.pop(column).before, day.row)
        return bool(coincidences)

    def _is_provisional(self, column: int, migration: _ProvisionalMigration, day: Day) -> bool:
        """Return whether a migration is recent, and the level of the series has not changed again since."""
        return bool(
            day.row - migration.before.row <= _PROVISIONAL_DAYS
            and self._levels.changed_row[column] == migration.before.row
            and day.outside_episode[column]
        )

    def _is_coincidence(self, column: int, migration: _ProvisionalMigration, day: Day) -> bool:
        """Return whether the siblings returned to their old spend while the series stayed at its new level."""
        before, others = migration
        level = self._history.level[before.row, column]
        off = day.spend[column] - self._parameters.to_usd(level + day.weekday_effect[column])
        stayed = (self._history.deseasonalized[day.row, column] - level) / before.change > _STAYED_SHARE
        if not (stayed and off * before.change > 0 and day.alive[column] and day.settled):
            return False
        return bool(-self._weekly_change(others, day).sum() / off < _RETURNED_SHARE)

    def _has_successor(self, column: int, siblings: Integers, day: Day) -> bool:
        """Return whether a new sibling spends about as much as the series has lost since the sibling's first day."""
        for young in siblings[(day.age[siblings] >= 0) & (day.age[siblings] <= _SUCCESSOR_DAYS)]:
            level = self._history.level[self._panel.first_row[young], column] + day.weekday_effect[column]
            lost = self._parameters.to_usd(level) - day.spend[column]
            if any(
                lost / _SUCCESSOR_FACTOR < gained < lost * _SUCCESSOR_FACTOR
                for gained in (day.spend[young], day.expected[young])
            ):
                return True
        return False

    def _offsetting_siblings(self, column: int, day: Day, scores: Floats) -> tuple[Integers, float]:
        """Return the siblings that clearly changed in the opposite direction, and the sum of their changes in US
        dollars.
        """
        siblings = self._siblings[column]
        change = self._weekly_change(siblings, day)
        clear = day.alive[siblings] & ((day.age[siblings] < _NEW_DAYS) | (np.abs(scores[siblings]) > _CLEAR_SIGMAS))
        opposite = clear & (change * day.difference[column] < 0)
        return siblings[opposite], change[opposite].sum().item()

    def _weekly_change(self, columns: Integers, day: Day) -> Floats:
        """Return the difference from the median of the same weekday in the last three weeks, in US dollars."""
        weeks = self._panel.spend[[max(0, day.row - 7 * ago) for ago in (1, 2, 3)]][:, columns]
        change: Floats = day.spend[columns] - np.median(weeks, axis=0)
        return change


def _siblings(panel: Panel) -> list[Integers]:
    """Return the siblings of each series: the other series that split the same total by the same dimensions."""
    families: dict[tuple[int, str], list[int]] = defaultdict(list)
    for column, series in enumerate(panel.series):
        families[int(panel.parent[column]), series.level].append(column)
    return [
        np.array([other for other in families[int(panel.parent[column]), series.level] if other != column], int)
        for column, series in enumerate(panel.series)
    ]
