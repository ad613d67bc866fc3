"""What spends now and then: silent, but for days that are higher than any before, or high and more often than usual."""

from __future__ import annotations

from functools import partial

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers, Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day, FailedTest
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import Levels

_HALF = 0.5
_MOSTLY = 0.4  # of the window's days
_FEW_ACTIVE_DAYS = 4
_TELLING_DAYS = 9  # active ones that tell how high and how often
_ABOUT_WEEKLY = 10  # active days of the window
_HIGH = 2.5  # deviations: often alone is no reason, for jobs come in bursts


class Intermittent:
    """The tests for such series, over one panel."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History, levels: Levels) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history
        self._levels = levels

    def apply(self, day: Day) -> None:
        """Takes back what other tests said of such series, and flags what is odd for them."""
        self._unflag_usual_days(day)
        may = day.activity.is_intermittent & day.mature & (day.activity.active_days >= _FEW_ACTIVE_DAYS)
        if may.any():
            self._flag_high_sums(day, may)
            self._flag_frequent_high_days(day, may & day.outside_episode & (day.activity.active_days >= _TELLING_DAYS))

    def _unflag_usual_days(self, day: Day) -> None:
        parameters, seldom, known = self._parameters, day.activity.is_intermittent, day.activity.active_days
        highest = self._panel.spend[max(0, day.row - parameters.window_days) : day.row].max(0, initial=0)
        low = (known < _FEW_ACTIVE_DAYS) | (
            day.spend < (parameters.intermittent_day_factor + self._few_days_margin(day)) * highest
        )
        day.unflag(day.rise & seldom & day.mature & low, "")
        weekly = (
            ~seldom
            & (known <= _ABOUT_WEEKLY)
            & (day.age >= parameters.window_days)
            & (day.expected > parameters.floor_usd)
        )
        day.unflag(day.rise & weekly & (day.spend < parameters.weekly_job_factor * highest), "")
        day.unflag(day.drop & (seldom | ~day.is_mostly_active(_MOSTLY, parameters.window_days)), "")

    def _few_days_margin(self, day: Day) -> Floats:
        """Of few days the highest tells little."""
        doubt: Floats = self._parameters.intermittent_few_days_margin / np.maximum(day.activity.active_days, 1)
        return doubt

    def _flag_high_sums(self, day: Day, may: Flags) -> None:
        """Some days that cost more than as many days ever did."""
        parameters, may = self._parameters, may & (day.difference > 0)
        for days in parameters.intermittent_sum_days if may.any() else ():
            if day.row < days * 3:
                continue
            sums = _moving_sums(self._panel.spend[max(0, day.row + 1 - parameters.window_days) : day.row + 1], days)
            most = sums[:-days].max(0)
            found = may & (sums[-1] > (parameters.intermittent_sum_factor + self._few_days_margin(day)) * most)
            found &= day.spend > _HALF * sums[-1] / days
            found &= sums[-1] - most > 2 * parameters.minimum_impact_usd
            upper = np.maximum(
                (parameters.intermittent_sum_factor + self._few_days_margin(day)) * most,
                most + 2 * parameters.minimum_impact_usd,
            )
            test = partial(_sum_test, days, sums[:-days].mean(0), upper)
            day.flag(found, "intermittent", rise=True, test=test)

    def _flag_frequent_high_days(self, day: Day, may: Flags) -> None:
        """Days that are high and come more often than usual: how unlikely that is, both taken together."""
        may = may & ~day.flagged & (day.difference > self._parameters.minimum_impact_usd)
        for days in self._parameters.intermittent_run_lengths if may.any() else ():
            first = max(0, day.row - days + 1)
            began_row = (
                may & (self._panel.spend[first] > self._parameters.floor_usd) & (self._levels.changed_row < first)
            )
            columns = np.flatnonzero(began_row & ~day.flagged & (day.age - days >= self._parameters.mature_age_days))
            if len(columns):
                found, expected, upper = np.zeros_like(may), np.zeros(len(may)), np.zeros(len(may))
                found[columns], expected[columns], upper[columns] = self._are_unlikely(days, day, columns)
                day.flag(found, f"{days} days", rise=True, test=partial(_sum_test, days, expected, upper))

    def _are_unlikely(self, days: int, day: Day, columns: Integers) -> tuple[Flags, Floats, Floats]:
        """Whether so many days of these series are, one by one, what was expected of them, and at most usual.

        Twice the logarithm of a likelihood ratio is about the square of a normal deviation, and ratios multiply.
        """
        parameters, history, first = self._parameters, self._history, day.row - days + 1
        spent = self._panel.spend[first : day.row + 1, columns] > parameters.floor_usd
        count = np.maximum(spent.sum(0), 1.0)
        above = np.where(spent, history.deseasonalized[first : day.row + 1, columns] - history.level[first, columns], 0)
        change = above.sum(0) / count
        variance = (
            parameters.mean_variance(count) + parameters.intermittent_level_uncertainty * day.uncertainty[columns]
        )
        high = change / (history.noise[columns] * np.sqrt(variance))
        known = np.minimum(day.age[columns], parameters.window_days)
        usual_share = (day.activity.active_days[columns] + 1) / (known + 2)
        is_mostly_active = _log_likelihood_ratio(count / days, usual_share)
        weighs = np.vstack([history.weights(first, day.row)[:, columns], np.ones(len(columns))])
        odd: Flags = (count > 1) & (high > _HIGH) & (change > np.log1p(parameters.rise_share))
        odd &= (~spent | ((above > 0.3 * change) & (weighs > 0))).all(0)
        unusual = parameters.run_rise_sigmas + parameters.intermittent_extra_sigmas
        unlikely: Flags = np.sqrt(high**2 + 2 * days * is_mostly_active) > unusual
        odd &= unlikely
        least_high = np.maximum(_HIGH, np.sqrt(np.maximum(unusual**2 - 2 * days * is_mostly_active, 0)))
        least = np.maximum(least_high * history.noise[columns] * np.sqrt(variance), np.log1p(parameters.rise_share))
        # The sum at which the test holds no more, the days before the last being as they are.
        last = parameters.to_usd(
            history.level[first, columns] + day.weekday_effect[columns] + count * least - above[:-1].sum(0)
        )
        before = self._panel.spend[first : day.row, columns].sum(0)
        expected = days * usual_share * parameters.to_usd(history.level[first, columns])
        upper = before + np.maximum(last, day.expected[columns] + parameters.minimum_impact_usd)
        return odd, np.minimum(expected, upper), upper


def _sum_test(days: int, expected: Floats, upper: Floats, column: int) -> FailedTest:
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
