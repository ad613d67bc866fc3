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

# The age in days up to which a sibling can offset a change without a significant deviation, because its own history is
# too short for one.
_NEW_DAYS = 21
_SUCCESSOR_DAYS = 35  # The age in days up to which a series can be the successor of another series.
# The largest ratio, in either direction, between the spend of a successor and the loss of the series that it replaces.
_SUCCESSOR_FACTOR = 1.8
_CLEAR_SIGMAS = 4  # The number of sigmas by which an older sibling must deviate to offset a change.
_UNCHANGED_TOTAL_SIGMAS = 1  # The number of sigmas up to which a total counts as unchanged.
_OFFSET_RANGE = 0.7, 1.5  # The smallest and the largest share of a change that siblings may offset in a migration.
_WIDE_OFFSET_RANGE = 0.5, 2  # The value of `_OFFSET_RANGE` on days on which the total changed little.
# The change of a total below which it counts as little, as a share of the change of the series.
_SMALL_TOTAL_CHANGE = 0.4
# The number of days for which a migration is provisional. Less than a week is required, because the siblings are
# compared with weeks that end before the migration.
_PROVISIONAL_DAYS = 5
# The share of the deviation of a series below which its siblings no longer offset it, so that they have returned to
# their old spend.
_RETURNED_SHARE = 0.35
# The share of its change of level, on the log scale, above which a series has stayed at its new level.
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
