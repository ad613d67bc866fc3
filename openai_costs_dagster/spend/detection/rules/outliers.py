"""The tests that flag unusual spend: a single day, a continued episode, a run of days, and a new series.

Each test requires that the spend is unusual for the series, and that the difference is large both in US dollars and as
a share of the expected amount. Intermittent series have tests of their own in `intermittent.py`.
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

_MIN_ACTIVITY = 0.5  # The smallest share of days with spend for which runs of days of a series are tested.
# The share of a run's mean deviation that four in five of its days must exceed, so that one outlier does not make a
# run.
_RUN_DAY_SHARE = 0.3

# In the first days after a series became old enough for the tests, a drop is ignored if the spend was also low on each
# of the three days before. A series with such days stopped earlier and has no level from which it could drop.
_YOUNG_STOP_DAYS = 3

# The constants of the test of a new series.
_RISING_SHARE = 0.5  # The share of its highest day of the last week above which a day of a new series is tested.
_FIRST_DAYS = 5  # The number of days after the start of a series in which any growth counts as sudden.
# The multiple of its highest earlier day from which the growth of a series counts as sudden after `_FIRST_DAYS`.
_SUDDEN_FACTOR = 2.0
_MULTIPLE_FACTOR = 3.5  # The multiple of its own highest earlier day from which a new series is flagged.
# The number of earlier days that a comparison of a new series with its highest earlier day needs.
_MIN_HISTORY_DAYS = 3
# The share of the total's expected amount above which a series is flagged on its first day.
_APPEARING_SHARE = 0.25
# The share of a new series' spend from which drops of its siblings mean that the series replaces them and is not
# flagged.
_OFFSET_SHARE = 0.5
_SIBLING_DROP_SIGMAS = 1  # The number of sigmas below its expected amount from which a sibling has dropped.
# A new series explains the excess of its total if the series spends more than the first share of the excess, and the
# excess is more than the second share of this spend.
_EXCESS_SHARES = 0.5, 0.6
# The multiple of the minimum impact from which a new series can be flagged while its total is within its range.
_LARGE_IMPACTS = 4
# The share of the total's expected amount above which a series is flagged within its first days.
_FIRST_DAYS_SHARE = 0.6
# The share by which a total must exceed its expected amount for a flag of a new series after its first days.
_EXCESS_MIN_SHARE = 0.15
# The number of earlier days whose scores are combined with the score of the evaluated day, so that a lasting excess
# counts more than a short excess.
_EXCESS_DAYS = 4


class Outliers:
    """The tests that flag unusual days of the series of one panel."""

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
        """Flag the series whose spend on the evaluated day is unusual."""
        self._flag_single_day(day)
        self._flag_continuation(day)
        self._flag_runs(day)
        self._flag_new_series(day)
        self._intermittent.apply(day)

    def _flag_single_day(self, day: Day) -> None:
        day.flag(day.mature & (day.spend > day.upper), "above", rise=True)
        recent = self._panel.spend[max(0, day.row - _YOUNG_STOP_DAYS) : day.row].max(0, initial=0)
        stopped_young = (day.age < self._parameters.mature_age_days + _YOUNG_STOP_DAYS) & (recent < day.lower)
        low = day.mature & (day.spend < day.lower)
        day.flag(low & ~stopped_young & ~self._has_faded(day), "below", rise=False)

    def _has_faded(self, day: Day) -> Flags:
        """Return whether the spend of each series had almost ended in the last days.

        A drop after a decline over several days is no outage, because an outage begins abruptly.
        """
        before = self._panel.spend[max(0, day.row - self._parameters.fading_days) : day.row].max(0, initial=0)
        faded: Flags = before < self._parameters.fading_share * day.expected
        return faded

    def _flag_continuation(self, day: Day) -> None:
        """Flag series whose open episode continues.

        A day that continues an episode only needs a share of the episode's deviation to be flagged.
        """
        parameters = self._parameters
        large = (np.abs(day.difference) > parameters.minimum_impact_usd) & (
            np.abs(day.score) > parameters.continuation_sigmas
        )
        in_episode = day.mature & ~day.outside_episode & ~day.flagged & ~day.activity.is_intermittent
        for column in true_columns(in_episode & large):
            size = self._episodes.size(column)
            if day.residual[column] / size > parameters.continuation_share:
                found = np.zeros_like(day.rise)
                found[column] = True
                rise = bool(day.residual[column] > 0)
                test = self._ranges.for_episode(column, day, size, rise=rise)
                day.flag(found, "continues", rise=rise, test={column: test}.__getitem__)

    def _flag_runs(self, day: Day) -> None:
        """Flag series whose last days all lie on the same side of the level that was known before the first of these
        days.
        """
        parameters = self._parameters
        regular = ~day.activity.is_intermittent & day.is_mostly_active(_MIN_ACTIVITY, parameters.window_days)
        tested = day.mature & day.outside_episode & regular
        for days in parameters.run_lengths:
            if day.row - days + 1 > 0:
                self._flag_run(days, day, tested & ~day.flagged & (day.age - days >= parameters.run_min_age_days))

    def _flag_run(self, days: int, day: Day, tested: Flags) -> None:
        """Flag the series whose last `days` days together deviate from the level before them."""
        parameters, history, first = self._parameters, self._history, day.row - days + 1
        reference = history.level[first] + history.trend[first] * (days - 1)
        above = history.deseasonalized[first : day.row + 1] - reference
        change = above.sum(0) / days
        spread = history.noise * np.sqrt(
            parameters.mean_variance(days) + parameters.run_level_uncertainty * day.uncertainty
        )
        rise_sigmas = parameters.run_sigmas(days)
        least = np.maximum(np.log1p(parameters.rise_share), min(rise_sigmas, parameters.run_drop_sigmas) * spread)
        tested &= (self._levels.changed_row < first) & (np.abs(change) > least)
        # On most days no series fulfills the conditions so far, and the slower conditions below need not be computed.
        if not tested.any():
            return
        usual = parameters.to_usd(reference + day.weekday_effect)
        lowest = np.sort(above * np.sign(change), axis=0)[days // 5]
        found = (
            tested
            & (history.weights(first, day.row).min(0) > 0)
            & (np.abs(day.spend - usual) > parameters.run_min_impact / days * parameters.minimum_impact_usd)
            & (lowest > _RUN_DAY_SHARE * np.abs(change))
        )
        score = change / spread
        is_new_level = day.row - self._levels.changed_row <= parameters.new_level_days
        factor = np.where(is_new_level, parameters.new_level_factor, 1.0)
        rise_sigmas_by_series = rise_sigmas + parameters.run_sigmas_per_alert * day.recent_alerts
        rise = found & (score > factor * rise_sigmas_by_series)
        drop = (
            found
            & ~self._has_faded(day)
            & (score < -factor * parameters.run_drop_sigmas)
            & (day.spend < usual * (1 - parameters.drop_share))
        )
        least_rise = np.maximum(least, factor * rise_sigmas_by_series * spread)
        least_drop = np.maximum(least, factor * parameters.run_drop_sigmas * spread)
        run, ranges = DayRun(first, reference, usual, above), self._ranges
        day.flag(rise, f"{days} days", rise=True, test=partial(ranges.for_run_rise, day, run, least_rise))
        day.flag(drop, f"{days} days", rise=False, test=partial(ranges.for_run_drop, day, run, least_drop))
        newly_flagged = (rise | drop) & day.flagged
        # The expected amount has already adapted to the first days of the run. The finding shows the level before the
        # run.
        day.expected = np.where(newly_flagged, usual, day.expected)
        day.residual = np.where(newly_flagged, above[-1], day.residual)
        day.began_row[newly_flagged] = first

    def _flag_new_series(self, day: Day) -> None:
        """Flag unusual new series.

        The history of a new series is too short for an expected amount, so the series is compared with its total or
        with its own few days.
        """
        parameters = self._parameters
        highest = self._panel.spend[max(0, day.row - 7) : day.row].max(0, initial=0)
        rising = day.spend > np.maximum(_RISING_SHARE * highest, parameters.minimum_impact_usd)
        tested = day.alive & ~day.mature & (self._panel.parent != NO_PARENT) & rising
        tests: dict[int, FailedTest] = {}
        for column in true_columns(tested):
            total = self._mature_total(column, day)
            if total != NO_PARENT:
                test = self._new_series_test(column, total, day, highest[column].item())
                tests |= {column: test} if test else {}
        found = np.zeros_like(day.rise)
        found[list(tests)] = True
        day.flag(found, "new", rise=True, test=tests.__getitem__)

    def _new_series_test(self, column: int, total: int, day: Day, highest: float) -> FailedTest | None:
        """Return the failed test of a new series, or None if the series passes all tests.

        `highest` is the highest spend of the last seven days, in US dollars.
        """
        impact = self._parameters.minimum_impact_usd
        if self._multiplies(column, day):
            past = self._panel.spend[int(self._panel.first_row[column]) : day.row, column].max().item()
            return FailedTest(1, past, min(past, 0), _MULTIPLE_FACTOR * past + impact)
        if self._appears_at_once(column, total, day):
            return FailedTest(1, 0, 0, max(_APPEARING_SHARE * day.expected[total].item(), 2 * impact), total)
        if self._moves_total(column, total, day):
            return FailedTest(1, 0, 0, max(_RISING_SHARE * highest, impact), total)
        return None

    def _mature_total(self, column: int, day: Day) -> int:
        """Return the column of the smallest total that contains a series and is old enough, or `NO_PARENT`."""
        total = int(self._panel.parent[column])
        while total != NO_PARENT and not day.mature[total]:
            total = int(self._panel.parent[total])
        return total

    def _multiplies(self, column: int, day: Day) -> bool:
        """Return whether a series spends a multiple of its highest earlier day."""
        past = self._panel.spend[int(self._panel.first_row[column]) : day.row, column]
        return len(past) >= _MIN_HISTORY_DAYS and bool(
            day.spend[column] > _MULTIPLE_FACTOR * past.max() + self._parameters.minimum_impact_usd
        )

    def _appears_at_once(self, column: int, total: int, day: Day) -> bool:
        """Return whether a series spends a large part of the total on its first day without replacing a sibling."""
        spend = day.spend[column]
        large = spend > max(_APPEARING_SHARE * day.expected[total], 2 * self._parameters.minimum_impact_usd)
        return bool(day.age[column] == 0 and large and self._sibling_drop(column, total, day) < _OFFSET_SHARE * spend)

    def _sibling_drop(self, column: int, total: int, day: Day) -> float:
        """Return how far the series of one level within a total fall below their expected amounts, in US dollars."""
        panel = self._panel
        within = (panel.parent == total) | ((panel.organization == total) & (panel.parent != NO_PARENT))
        same_level = self._dimensions == self._dimensions[column]
        lower = within & same_level & day.mature & (day.score < -_SIBLING_DROP_SIGMAS)
        drop: float = -np.minimum(day.difference[lower], 0).sum().item()
        return drop

    def _moves_total(self, column: int, total: int, day: Day) -> bool:
        """Return whether a sudden new series explains the excess of its total, if this excess is unusual or large."""
        spend, excess = day.spend[column], day.difference[total]
        low, high = _EXCESS_SHARES
        if not low * excess < spend < excess / high or not self._is_sudden(column, day):
            return False
        if day.spend[total] > day.upper[total]:
            return True
        if spend < _LARGE_IMPACTS * self._parameters.minimum_impact_usd:
            return False
        if day.age[column] < _FIRST_DAYS and spend > _FIRST_DAYS_SHARE * day.expected[total]:
            return True
        since = max(int(self._panel.first_row[column]), day.row - _EXCESS_DAYS)
        scores = np.append(self._history.scores[since : day.row, total], day.score[total])
        large = excess > _EXCESS_MIN_SHARE * day.expected[total]
        return bool(large and scores.sum() / np.sqrt(len(scores)) > self._parameters.newcomer_total_sigmas)

    def _is_sudden(self, column: int, day: Day) -> bool:
        """Return whether a new series rose suddenly.

        The spend of a service that people adopt gradually grows day by day instead.
        """
        past = self._panel.spend[int(self._panel.first_row[column]) : day.row, column]
        return len(past) < _FIRST_DAYS or bool(day.spend[column] > _SUDDEN_FACTOR * past.max())
