"""What makes a day suspicious: the day itself, several days together, a sudden newcomer.

Each test asks two things: is it unusual for this series, and is it large, in dollars and in proportion.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from openai_costs_dagster.spend.detection.panel import NO_PARENT, Flags, Panel, true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.rules.intermittent import Intermittent
from openai_costs_dagster.spend.detection.state.day import Day, FailedTest
from openai_costs_dagster.spend.detection.state.episodes import Episodes
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import Levels
from openai_costs_dagster.spend.detection.state.ranges import DayRun, Ranges

_HALF = 0.5
_LATELY = 3
_FIRST_DAYS = 5
_SUDDEN = 2.0  # times the highest day before
_LARGE_PART = 0.6  # of what was expected of the total
_GOOD_PART = 0.25  # the same, of what is there at once and nothing fell for
_MOST_OF_IT = 0.6
_MULTIPLIED = 3.5  # times the highest day before


class Outliers:
    """The tests, over one panel."""

    def __init__(
        self, panel: Panel, parameters: Parameters, history: History, levels: Levels, episodes: Episodes
    ) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history
        self._levels = levels
        self._episodes = episodes
        self._ranges = Ranges(panel, parameters, history)
        self._intermittent = Intermittent(panel, parameters, history, levels)
        self._dimensions = np.unique([series.level for series in panel.series], return_inverse=True)[1]

    def apply(self, day: Day) -> None:
        """Flags all that is suspicious of a day."""
        self._single_day(day)
        self._continuation(day)
        self._day_runs(day)
        self._newcomer(day)
        self._intermittent.apply(day)

    def _single_day(self, day: Day) -> None:
        day.flag(day.mature & (day.spend > day.upper), "above", rise=True)
        lately = self._panel.spend[max(0, day.row - _LATELY) : day.row].max(0, initial=0)
        fell_young = (day.age < self._parameters.mature_age_days + _LATELY) & (lately < day.lower)
        day.flag(day.mature & (day.spend < day.lower) & ~fell_young & ~self._has_faded(day), "below", rise=False)

    def _has_faded(self, day: Day) -> Flags:
        """What had all but ended before: an outage begins at once, and what is wound down does not end by one."""
        before = self._panel.spend[max(0, day.row - self._parameters.fading_days) : day.row].max(0, initial=0)
        faded: Flags = before < self._parameters.fading_share * day.expected
        return faded

    def _continuation(self, day: Day) -> None:
        """While an event lasts, a good part of it is enough."""
        parameters = self._parameters
        large = (np.abs(day.difference) > parameters.minimum_impact_usd) & (
            np.abs(day.score) > parameters.continuation_sigmas
        )
        for column in true_columns(
            day.mature & ~day.outside_episode & ~day.flagged & large & ~day.activity.is_intermittent
        ):
            size = self._episodes.size(column)
            if day.residual[column] / size > parameters.continuation_share:
                found = np.zeros_like(day.rise)
                found[column] = True
                rise = bool(day.residual[column] > 0)
                test = self._ranges.for_episode(column, day, size, rise=rise)
                day.flag(found, "continues", rise=rise, test={column: test}.__getitem__)

    def _day_runs(self, day: Day) -> None:
        """Several days on one side of the level that was known before the first of them."""
        may = (
            day.mature
            & day.outside_episode
            & ~day.activity.is_intermittent
            & day.is_mostly_active(_HALF, self._parameters.window_days)
        )
        for days in self._parameters.run_lengths:
            if day.row - days + 1 > 0:
                self._day_run(days, day, may & ~day.flagged & (day.age - days >= self._parameters.run_min_age_days))

    def _day_run(self, days: int, day: Day, may: Flags) -> None:
        parameters, history, first = self._parameters, self._history, day.row - days + 1
        reference = history.level[first] + history.trend[first] * (days - 1)
        above = history.deseasonalized[first : day.row + 1] - reference
        change = above.sum(0) / days
        spread = history.noise * np.sqrt(
            parameters.mean_variance(days) + parameters.run_level_uncertainty * day.uncertainty
        )
        unusual = parameters.run_sigmas(days)
        least = np.maximum(np.log1p(parameters.rise_share), min(unusual, parameters.run_drop_sigmas) * spread)
        may &= (self._levels.changed_row < first) & (np.abs(change) > least)
        if not may.any():  # as on most days: the rest is looked at where it matters
            return
        usual = parameters.to_usd(reference + day.weekday_effect)
        lowest = np.sort(above * np.sign(change), axis=0)[days // 5]
        found = (
            may
            & (history.weights(first, day.row).min(0) > 0)
            & (np.abs(day.spend - usual) > parameters.run_min_impact / days * parameters.minimum_impact_usd)
            & (lowest > 0.3 * np.abs(change))
        )
        score = change / spread
        doubt = np.where(
            day.row - self._levels.changed_row <= parameters.new_level_days, parameters.new_level_factor, 1.0
        )
        rise = found & (score > doubt * (unusual + parameters.run_sigmas_per_alert * day.recent_alerts))
        drop = (
            found
            & ~self._has_faded(day)
            & (score < -doubt * parameters.run_drop_sigmas)
            & (day.spend < usual * (1 - parameters.drop_share))
        )
        least_up = np.maximum(least, doubt * (unusual + parameters.run_sigmas_per_alert * day.recent_alerts) * spread)
        least_down = np.maximum(least, doubt * parameters.run_drop_sigmas * spread)
        run, ranges = DayRun(first, reference, usual, above), self._ranges
        day.flag(rise, f"{days} days", rise=True, test=partial(ranges.for_run_rise, day, run, least_up))
        day.flag(drop, f"{days} days", rise=False, test=partial(ranges.for_run_drop, day, run, least_down))
        held = (rise | drop) & day.flagged
        day.expected = np.where(held, usual, day.expected)
        day.residual = np.where(held, above[-1], day.residual)
        day.began_row[held] = first

    def _newcomer(self, day: Day) -> None:
        """A series without a past of its own is judged by the total that it is a part of, or by multiplying."""
        parameters = self._parameters
        highest = self._panel.spend[max(0, day.row - 7) : day.row].max(0, initial=0)
        rising = day.spend > np.maximum(_HALF * highest, parameters.minimum_impact_usd)
        young = day.alive & ~day.mature & (self._panel.parent != NO_PARENT) & rising
        tests: dict[int, FailedTest] = {}
        for column in true_columns(young):
            total = self._mature_total(column, day)
            if total != NO_PARENT:
                test = self._newcomer_test(column, total, day, highest[column].item())
                tests |= {column: test} if test else {}
        found = np.zeros_like(day.rise)
        found[list(tests)] = True
        day.flag(found, "new", rise=True, test=tests.__getitem__)

    def _newcomer_test(self, column: int, total: int, day: Day, highest: float) -> FailedTest | None:
        """The test that makes a newcomer a finding: of its own past, or nothing was expected of it."""
        impact = self._parameters.minimum_impact_usd
        if self._multiplies(column, day):
            past = self._panel.spend[int(self._panel.born[column]) : day.row, column].max().item()
            return FailedTest(1, past, min(past, 0), _MULTIPLIED * past + impact)
        if self._appears_at_once(column, total, day):
            return FailedTest(1, 0, 0, max(_GOOD_PART * day.expected[total].item(), 2 * impact), total)
        if self._moves_total(column, total, day):
            return FailedTest(1, 0, 0, max(_HALF * highest, impact), total)
        return None

    def _mature_total(self, column: int, day: Day) -> int:
        total = int(self._panel.parent[column])
        while total != NO_PARENT and not day.mature[total]:
            total = int(self._panel.parent[total])
        return total

    def _multiplies(self, column: int, day: Day) -> bool:
        born = int(self._panel.born[column])
        past = self._panel.spend[born : day.row, column]
        return len(past) >= 3 and bool(
            day.spend[column] > _MULTIPLIED * past.max() + self._parameters.minimum_impact_usd
        )

    def _appears_at_once(self, column: int, total: int, day: Day) -> bool:
        """Whether a good part of the total is spent on a very first day, and nothing else fell for it."""
        spend = day.spend[column]
        large = spend > max(_GOOD_PART * day.expected[total], 2 * self._parameters.minimum_impact_usd)
        return bool(day.age[column] == 0 and large and self._sibling_drop(column, total, day) < _HALF * spend)

    def _sibling_drop(self, column: int, total: int, day: Day) -> float:
        """By how many dollars the parts of a total that are like a series are lower than expected."""
        panel = self._panel
        within = (panel.parent == total) | ((panel.organization == total) & (panel.parent != NO_PARENT))
        lower = within & (self._dimensions == self._dimensions[column]) & day.mature & (day.score < -1)
        drop_row: float = -np.minimum(day.difference[lower], 0).sum().item()
        return drop_row

    def _moves_total(self, column: int, total: int, day: Day) -> bool:
        """Whether the total is up by about what a sudden newcomer spends, and that is large for it or unusual."""
        spend, excess = day.spend[column], day.difference[total]
        if not _HALF * excess < spend < excess / _MOST_OF_IT or not self._is_sudden(column, day):
            return False
        if day.spend[total] > day.upper[total]:
            return True
        if spend < 4 * self._parameters.minimum_impact_usd:
            return False
        if day.age[column] < _FIRST_DAYS and spend > _LARGE_PART * day.expected[total]:
            return True
        since = max(int(self._panel.born[column]), day.row - 4)
        scores = np.append(self._history.scores[since : day.row, total], day.score[total])
        large = excess > 0.15 * day.expected[total]
        return bool(large and scores.sum() / np.sqrt(len(scores)) > self._parameters.newcomer_total_sigmas)

    def _is_sudden(self, column: int, day: Day) -> bool:
        """What is being adopted grows, day by day."""
        past = self._panel.spend[int(self._panel.born[column]) : day.row, column]
        return len(past) < _FIRST_DAYS or bool(day.spend[column] > _SUDDEN * past.max())
