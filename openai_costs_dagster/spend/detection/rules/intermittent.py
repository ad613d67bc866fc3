"""What spends now and then: silent, but for days that are higher than any before, or high and more often than usual."""

from __future__ import annotations

from functools import partial

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers, Panel
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.state.day import Day, FailedTest
from openai_costs_dagster.spend.detection.state.history import Memory
from openai_costs_dagster.spend.detection.state.levels import Levels

_HALF = 0.5
_MOSTLY = 0.4  # of the window's days
_FEW_ACTIVE_DAYS = 4
_TELLING_DAYS = 9  # active ones that tell how high and how often
_ABOUT_WEEKLY = 10  # active days of the window
_HIGH = 2.5  # deviations: often alone is no reason, for jobs come in bursts


class Seldom:
    """The tests for such series, over one panel."""

    def __init__(self, panel: Panel, tuning: Tuning, memory: Memory, levels: Levels) -> None:
        self._panel = panel
        self._tuning = tuning
        self._memory = memory
        self._levels = levels

    def consider(self, day: Day) -> None:
        """Takes back what other tests said of such series, and flags what is odd for them."""
        self._silence(day)
        may = day.rhythm.now_and_then & day.mature & (day.rhythm.active_days >= _FEW_ACTIVE_DAYS)
        if may.any():
            self._highest_sums(day, may)
            self._days_in_a_row(day, may & day.fresh & (day.rhythm.active_days >= _TELLING_DAYS))

    def _silence(self, day: Day) -> None:
        tuning, seldom, known = self._tuning, day.rhythm.now_and_then, day.rhythm.active_days
        highest = self._panel.spend[max(0, day.row - tuning.window) : day.row].max(0, initial=0)
        low = (known < _FEW_ACTIVE_DAYS) | (day.spend < (tuning.seldom + self._doubt(day)) * highest)
        day.acquit(day.up & seldom & day.mature & low, "")
        weekly = ~seldom & (known <= _ABOUT_WEEKLY) & (day.age >= tuning.window) & (day.expected > tuning.floor)
        day.acquit(day.up & weekly & (day.spend < tuning.seldom_weekly * highest), "")
        day.acquit(day.down & (seldom | ~day.often(_MOSTLY, tuning.window)), "")

    def _doubt(self, day: Day) -> Floats:
        """Of few days the highest tells little."""
        doubt: Floats = self._tuning.seldom_doubt / np.maximum(day.rhythm.active_days, 1)
        return doubt

    def _highest_sums(self, day: Day, may: Flags) -> None:
        """Some days that cost more than as many days ever did."""
        tuning, may = self._tuning, may & (day.difference > 0)
        for days in tuning.seldom_days if may.any() else ():
            if day.row < days * 3:
                continue
            sums = _moving_sums(self._panel.spend[max(0, day.row + 1 - tuning.window) : day.row + 1], days)
            most = sums[:-days].max(0)
            found = may & (sums[-1] > (tuning.seldom_sum + self._doubt(day)) * most)
            found &= day.spend > _HALF * sums[-1] / days
            found &= sums[-1] - most > 2 * tuning.minimum_impact
            upper = np.maximum((tuning.seldom_sum + self._doubt(day)) * most, most + 2 * tuning.minimum_impact)
            test = partial(_of_sum, days, sums[:-days].mean(0), upper)
            day.accuse(found, "seldom", up=True, test=test)

    def _days_in_a_row(self, day: Day, may: Flags) -> None:
        """Days that are high and come more often than usual: how unlikely that is, both taken together."""
        may = may & ~day.out & (day.difference > self._tuning.minimum_impact)
        for days in self._tuning.seldom_row if may.any() else ():
            first = max(0, day.row - days + 1)
            began = may & (self._panel.spend[first] > self._tuning.floor) & (self._levels.moved < first)
            columns = np.flatnonzero(began & ~day.out & (day.age - days >= self._tuning.mature))
            if len(columns):
                found, expected, upper = np.zeros_like(may), np.zeros(len(may)), np.zeros(len(may))
                found[columns], expected[columns], upper[columns] = self._are_odd(days, day, columns)
                day.accuse(found, f"{days} days", up=True, test=partial(_of_sum, days, expected, upper))

    def _are_odd(self, days: int, day: Day, columns: Integers) -> tuple[Flags, Floats, Floats]:
        """Whether so many days of these series are, one by one, what was expected of them, and at most usual.

        Twice the logarithm of a likelihood ratio is about the square of a normal deviation, and ratios multiply.
        """
        tuning, memory, first = self._tuning, self._memory, day.row - days + 1
        spent = self._panel.spend[first : day.row + 1, columns] > tuning.floor
        count = np.maximum(spent.sum(0), 1.0)
        above = np.where(spent, memory.flat[first : day.row + 1, columns] - memory.level[first, columns], 0)
        change = above.sum(0) / count
        variance = tuning.of_a_mean(count) + tuning.seldom_uncertainty * day.uncertainty[columns]
        high = change / (memory.noise[columns] * np.sqrt(variance))
        known = np.minimum(day.age[columns], tuning.window)
        usual_share = (day.rhythm.active_days[columns] + 1) / (known + 2)
        often = _log_likelihood_ratio(count / days, usual_share)
        weighs = np.vstack([memory.weights(first, day.row)[:, columns], np.ones(len(columns))])
        odd: Flags = (count > 1) & (high > _HIGH) & (change > np.log1p(tuning.relative))
        odd &= (~spent | ((above > 0.3 * change) & (weighs > 0))).all(0)
        unusual = tuning.persistent + tuning.seldom_more
        unlikely: Flags = np.sqrt(high**2 + 2 * days * often) > unusual
        odd &= unlikely
        least_high = np.maximum(_HIGH, np.sqrt(np.maximum(unusual**2 - 2 * days * often, 0)))
        least = np.maximum(least_high * memory.noise[columns] * np.sqrt(variance), np.log1p(tuning.relative))
        # The sum at which the test holds no more, the days before the last being as they are.
        last = tuning.dollars(
            memory.level[first, columns] + day.week_effect[columns] + count * least - above[:-1].sum(0)
        )
        before = self._panel.spend[first : day.row, columns].sum(0)
        expected = days * usual_share * tuning.dollars(memory.level[first, columns])
        upper = before + np.maximum(last, day.expected[columns] + tuning.minimum_impact)
        return odd, np.minimum(expected, upper), upper


def _of_sum(days: int, expected: Floats, upper: Floats, column: int) -> FailedTest:
    usual, most = expected[column].item(), upper[column].item()
    return FailedTest(days, usual, min(0.0, usual), most)


def _log_likelihood_ratio(share: Floats, usual: Floats) -> Floats:
    """Of a day, that it comes by `share` rather than as usual; 0 where that is no more often."""
    rest = np.maximum(1 - share, 1e-12)
    ratio = share * np.log(share / usual) + rest * np.log(rest / (1 - usual))
    return np.where(share > usual, ratio, 0)


def _moving_sums(spend: Floats, days: int) -> Floats:
    sums = np.cumsum(np.vstack([np.zeros_like(spend[:1]), spend]), axis=0)
    moving: Floats = sums[days:] - sums[:-days]
    return moving
