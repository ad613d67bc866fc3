"""What makes a day suspicious: the day itself, several days together, a sudden newcomer.

Each test asks two things: is it unusual for this series, and is it large, in dollars and in proportion.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from openai_costs_dagster.spend.detection.panel import NO_PARENT, Flags, Panel, columns_of
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.ranges import Ranges, Together
from openai_costs_dagster.spend.detection.rules.intermittent import Seldom
from openai_costs_dagster.spend.detection.state.day import Day, FailedTest
from openai_costs_dagster.spend.detection.state.episodes import Events
from openai_costs_dagster.spend.detection.state.history import Memory
from openai_costs_dagster.spend.detection.state.levels import Levels

_HALF = 0.5
_LATELY = 3
_FIRST_DAYS = 5
_SUDDEN = 2.0  # times the highest day before
_LARGE_PART = 0.6  # of what was expected of the total
_GOOD_PART = 0.25  # the same, of what is there at once and nothing fell for
_MOST_OF_IT = 0.6
_MULTIPLIED = 3.5  # times the highest day before


class Suspicion:
    """The tests, over one panel."""

    def __init__(self, panel: Panel, tuning: Tuning, memory: Memory, levels: Levels, events: Events) -> None:
        self._panel = panel
        self._tuning = tuning
        self._memory = memory
        self._levels = levels
        self._events = events
        self._ranges = Ranges(panel, tuning, memory)
        self._seldom = Seldom(panel, tuning, memory, levels)
        self._dimensions = np.unique([series.level for series in panel.series], return_inverse=True)[1]

    def raise_on(self, day: Day) -> None:
        """Flags all that is suspicious of a day."""
        self._the_day(day)
        self._continuation(day)
        self._days_together(day)
        self._newcomer(day)
        self._seldom.consider(day)

    def _the_day(self, day: Day) -> None:
        day.accuse(day.mature & (day.spend > day.upper), "above", up=True)
        lately = self._panel.spend[max(0, day.row - _LATELY) : day.row].max(0, initial=0)
        fell_young = (day.age < self._tuning.mature + _LATELY) & (lately < day.lower)
        day.accuse(day.mature & (day.spend < day.lower) & ~fell_young & ~self._faded(day), "below", up=False)

    def _faded(self, day: Day) -> Flags:
        """What had all but ended before: an outage begins at once, and what is wound down does not end by one."""
        before = self._panel.spend[max(0, day.row - self._tuning.fading_days) : day.row].max(0, initial=0)
        faded: Flags = before < self._tuning.faded * day.expected
        return faded

    def _continuation(self, day: Day) -> None:
        """While an event lasts, a good part of it is enough."""
        tuning = self._tuning
        large = (np.abs(day.difference) > tuning.minimum_impact) & (np.abs(day.score) > tuning.continuing_deviations)
        for column in columns_of(day.mature & ~day.fresh & ~day.out & large & ~day.rhythm.now_and_then):
            size = self._events.size(column)
            if day.residual[column] / size > tuning.continuing:
                found = np.zeros_like(day.up)
                found[column] = True
                up = bool(day.residual[column] > 0)
                test = self._ranges.of_event(column, day, size, up=up)
                day.accuse(found, "continues", up=up, test={column: test}.__getitem__)

    def _days_together(self, day: Day) -> None:
        """Several days on one side of the level that was known before the first of them."""
        may = day.mature & day.fresh & ~day.rhythm.now_and_then & day.often(_HALF, self._tuning.window)
        for days in self._tuning.together:
            if day.row - days + 1 > 0:
                self._so_many_together(days, day, may & ~day.out & (day.age - days >= self._tuning.grown))

    def _so_many_together(self, days: int, day: Day, may: Flags) -> None:
        tuning, memory, first = self._tuning, self._memory, day.row - days + 1
        reference = memory.level[first] + memory.trend[first] * (days - 1)
        above = memory.flat[first : day.row + 1] - reference
        change = above.sum(0) / days
        spread = memory.noise * np.sqrt(tuning.of_a_mean(days) + tuning.reference_uncertainty * day.uncertainty)
        unusual = tuning.unusual_together(days)
        least = np.maximum(np.log1p(tuning.relative), min(unusual, tuning.persistent_down) * spread)
        may &= (self._levels.moved < first) & (np.abs(change) > least)
        if not may.any():  # as on most days: the rest is looked at where it matters
            return
        usual = tuning.dollars(reference + day.week_effect)
        lowest = np.sort(above * np.sign(change), axis=0)[days // 5]
        found = (
            may
            & (memory.weights(first, day.row).min(0) > 0)
            & (np.abs(day.spend - usual) > tuning.lasting / days * tuning.minimum_impact)
            & (lowest > 0.3 * np.abs(change))
        )
        score = change / spread
        doubt = np.where(day.row - self._levels.moved <= tuning.settling, tuning.doubt, 1.0)
        up = found & (score > doubt * (unusual + tuning.alerted_together * day.alerts))
        down = (
            found
            & ~self._faded(day)
            & (score < -doubt * tuning.persistent_down)
            & (day.spend < usual * (1 - tuning.relative_down))
        )
        least_up = np.maximum(least, doubt * (unusual + tuning.alerted_together * day.alerts) * spread)
        least_down = np.maximum(least, doubt * tuning.persistent_down * spread)
        together, ranges = Together(first, reference, usual, above), self._ranges
        day.accuse(up, f"{days} days", up=True, test=partial(ranges.of_rise, day, together, least_up))
        day.accuse(down, f"{days} days", up=False, test=partial(ranges.of_fall, day, together, least_down))
        held = (up | down) & day.out
        day.expected = np.where(held, usual, day.expected)
        day.residual = np.where(held, above[-1], day.residual)
        day.began[held] = first

    def _newcomer(self, day: Day) -> None:
        """A series without a past of its own is judged by the total that it is a part of, or by multiplying."""
        tuning = self._tuning
        highest = self._panel.spend[max(0, day.row - 7) : day.row].max(0, initial=0)
        rising = day.spend > np.maximum(_HALF * highest, tuning.minimum_impact)
        young = day.alive & ~day.mature & (self._panel.parent != NO_PARENT) & rising
        tests: dict[int, FailedTest] = {}
        for column in columns_of(young):
            total = self._mature_total(column, day)
            if total != NO_PARENT:
                test = self._newcomers_test(column, total, day, highest[column].item())
                tests |= {column: test} if test else {}
        found = np.zeros_like(day.up)
        found[list(tests)] = True
        day.accuse(found, "new", up=True, test=tests.__getitem__)

    def _newcomers_test(self, column: int, total: int, day: Day, highest: float) -> FailedTest | None:
        """The test that makes a newcomer a finding: of its own past, or nothing was expected of it."""
        impact = self._tuning.minimum_impact
        if self._explodes(column, day):
            past = self._panel.spend[int(self._panel.born[column]) : day.row, column].max().item()
            return FailedTest(1, past, min(past, 0), _MULTIPLIED * past + impact)
        if self._appears(column, total, day):
            return FailedTest(1, 0, 0, max(_GOOD_PART * day.expected[total].item(), 2 * impact), total)
        if self._moves(column, total, day):
            return FailedTest(1, 0, 0, max(_HALF * highest, impact), total)
        return None

    def _mature_total(self, column: int, day: Day) -> int:
        total = int(self._panel.parent[column])
        while total != NO_PARENT and not day.mature[total]:
            total = int(self._panel.parent[total])
        return total

    def _explodes(self, column: int, day: Day) -> bool:
        born = int(self._panel.born[column])
        past = self._panel.spend[born : day.row, column]
        return len(past) >= 3 and bool(day.spend[column] > _MULTIPLIED * past.max() + self._tuning.minimum_impact)

    def _appears(self, column: int, total: int, day: Day) -> bool:
        """Whether a good part of the total is spent on a very first day, and nothing else fell for it."""
        spend = day.spend[column]
        large = spend > max(_GOOD_PART * day.expected[total], 2 * self._tuning.minimum_impact)
        return bool(day.age[column] == 0 and large and self._fell(column, total, day) < _HALF * spend)

    def _fell(self, column: int, total: int, day: Day) -> float:
        """By how many dollars the parts of a total that are like a series are lower than expected."""
        panel = self._panel
        within = (panel.parent == total) | ((panel.organization == total) & (panel.parent != NO_PARENT))
        lower = within & (self._dimensions == self._dimensions[column]) & day.mature & (day.score < -1)
        fell: float = -np.minimum(day.difference[lower], 0).sum().item()
        return fell

    def _moves(self, column: int, total: int, day: Day) -> bool:
        """Whether the total is up by about what a sudden newcomer spends, and that is large for it or unusual."""
        spend, excess = day.spend[column], day.difference[total]
        if not _HALF * excess < spend < excess / _MOST_OF_IT or not self._is_sudden(column, day):
            return False
        if day.spend[total] > day.upper[total]:
            return True
        if spend < 4 * self._tuning.minimum_impact:
            return False
        if day.age[column] < _FIRST_DAYS and spend > _LARGE_PART * day.expected[total]:
            return True
        since = max(int(self._panel.born[column]), day.row - 4)
        scores = np.append(self._memory.scores[since : day.row, total], day.score[total])
        large = excess > 0.15 * day.expected[total]
        return bool(large and scores.sum() / np.sqrt(len(scores)) > self._tuning.newcomer)

    def _is_sudden(self, column: int, day: Day) -> bool:
        """What is being adopted grows, day by day."""
        past = self._panel.spend[int(self._panel.born[column]) : day.row, column]
        return len(past) < _FIRST_DAYS or bool(day.spend[column] > _SUDDEN * past.max())
