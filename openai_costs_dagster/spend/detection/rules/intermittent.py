"""The tests for intermittent series, which spend on days that the weekday does not predict.

The expected spend of a day says little about an intermittent series. Flags of the other tests are therefore removed,
unless the day is far above every earlier day. Two tests flag an intermittent series: its spend over several days is
higher than ever before, or its spending days are high and more frequent than usual.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers, Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.day import Day, FailedTest
from openai_costs_dagster.spend.detection.state.history import History
from openai_costs_dagster.spend.detection.state.levels import Levels

# The smallest last day of a high sum, as a share of the mean day. Without this limit, the finding could come days after
# the spend.
_LAST_DAY_SHARE = 0.5
# The smallest share of days with spend for which drops of a series are flagged. A series that spends less often usually
# has days without spend.
_MIN_DROP_ACTIVITY = 0.4
# The smallest number of days with spend in the window that shows which spend is usual.
_MIN_ACTIVE_DAYS = 4
# The smallest number of days with spend that shows how high and how frequent spend usually is.
_MIN_RUN_ACTIVE_DAYS = 9
# The largest number of days with spend in eight weeks for which a series counts as a weekly job.
_WEEKLY_JOB_DAYS = 10
# The smallest number of sigmas by which frequent days must be high. Frequency alone is not enough, because jobs often
# run in bursts.
_HIGH_SIGMAS = 2.5
# The smallest share of a run's mean deviation that each day with spend must reach, so that one outlier does not make a
# run.
_RUN_DAY_SHARE = 0.3


class Intermittent:
    """The tests for the intermittent series of one panel."""

    def __init__(self, panel: Panel, parameters: Parameters, history: History, levels: Levels) -> None:
        self._panel = panel
        self._parameters = parameters
        self._history = history
        self._levels = levels

    def apply(self, day: Day) -> None:
        """Remove the flags of the other tests from intermittent series, and flag days that are unusual for such a
        series.
        """
        self._unflag_usual_days(day)
        activity = day.activity
        tested = activity.is_intermittent & day.mature & (activity.active_days >= _MIN_ACTIVE_DAYS)
        if tested.any():
            self._flag_high_sums(day, tested)
            known_well = activity.active_days >= _MIN_RUN_ACTIVE_DAYS
            self._flag_frequent_high_days(day, tested & day.outside_episode & known_well)

    def _unflag_usual_days(self, day: Day) -> None:
        parameters, intermittent = self._parameters, day.activity.is_intermittent
        active_days = day.activity.active_days
        highest = self._panel.spend[max(0, day.row - parameters.window_days) : day.row].max(0, initial=0)
        factor = parameters.intermittent_day_factor + self._few_days_margin(day)
        usual = (active_days < _MIN_ACTIVE_DAYS) | (day.spend < factor * highest)
        day.unflag(day.rise & intermittent & day.mature & usual, "")
        # A job that runs about once a week has a fixed weekday, but too few days for a reliable expectation.
        weekly = ~intermittent & (active_days <= _WEEKLY_JOB_DAYS) & (day.age >= parameters.window_days)
        weekly &= day.expected > parameters.floor_usd
        day.unflag(day.rise & weekly & (day.spend < parameters.weekly_job_factor * highest), "")
        rarely_active = ~day.is_mostly_active(_MIN_DROP_ACTIVITY, parameters.window_days)
        day.unflag(day.drop & (intermittent | rarely_active), "")

    def _few_days_margin(self, day: Day) -> Floats:
        """Return the margin that is added to the factors of each series.

        The fewer active days, the larger the margin.
        """
        margin: Floats = self._parameters.intermittent_few_days_margin / np.maximum(day.activity.active_days, 1)
        return margin

    def _flag_high_sums(self, day: Day, tested: Flags) -> None:
        """Flag series whose spend over several days clearly exceeds every earlier sum of as many days in the window."""
        parameters, tested = self._parameters, tested & (day.difference > 0)
        for days in parameters.intermittent_sum_days if tested.any() else ():
            if day.row < days * 3:
                continue
            window = self._panel.spend[max(0, day.row + 1 - parameters.window_days) : day.row + 1]
            sums = _moving_sums(window, days)
            highest = sums[:-days].max(0)
            factor = parameters.intermittent_sum_factor + self._few_days_margin(day)
            found = tested & (sums[-1] > factor * highest)
            found &= day.spend > _LAST_DAY_SHARE * sums[-1] / days
            found &= sums[-1] - highest > 2 * parameters.minimum_impact_usd
            upper = np.maximum(factor * highest, highest + 2 * parameters.minimum_impact_usd)
            test = partial(_sum_test, days, sums[:-days].mean(0), upper)
            day.flag(found, "intermittent", rise=True, test=test)

    def _flag_frequent_high_days(self, day: Day, tested: Flags) -> None:
        """Flag series whose recent days are high and more frequent than usual, by the joint probability of height and
        frequency.
        """
        parameters = self._parameters
        tested = tested & ~day.flagged & (day.difference > parameters.minimum_impact_usd)
        for days in parameters.intermittent_run_lengths if tested.any() else ():
            first = max(0, day.row - days + 1)
            starts_active = self._panel.spend[first] > parameters.floor_usd
            same_level = self._levels.changed_row < first
            old_enough = day.age - days >= parameters.mature_age_days
            columns = np.flatnonzero(tested & starts_active & same_level & ~day.flagged & old_enough)
            if len(columns):
                found, expected, upper = np.zeros_like(tested), np.zeros(len(tested)), np.zeros(len(tested))
                found[columns], expected[columns], upper[columns] = self._are_unlikely(days, day, columns)
                day.flag(found, f"{days} days", rise=True, test=partial(_sum_test, days, expected, upper))

    def _are_unlikely(self, days: int, day: Day, columns: Integers) -> tuple[Flags, Floats, Floats]:
        """Return whether the last `days` days of each series are unlikely, with their expected sum and its upper bound.

        The test statistic is the square of the mean deviation of the active days in sigmas, plus twice the log
        likelihood ratio of the number of active days. By Wilks' theorem, twice the log likelihood ratio is distributed
        like the square of a standard normal variable, so that the two terms can be added.
        """
        parameters, history, first = self._parameters, self._history, day.row - days + 1
        spent = self._panel.spend[first : day.row + 1, columns] > parameters.floor_usd
        count = np.maximum(spent.sum(0), 1.0)
        level = history.level[first, columns]
        above = np.where(spent, history.deseasonalized[first : day.row + 1, columns] - level, 0)
        change = above.sum(0) / count
        uncertainty = parameters.intermittent_level_uncertainty * day.uncertainty[columns]
        variance = parameters.mean_variance(count) + uncertainty
        noise = history.noise[columns]
        height = change / (noise * np.sqrt(variance))
        known = np.minimum(day.age[columns], parameters.window_days)
        usual_share = (day.activity.active_days[columns] + 1) / (known + 2)
        frequency = _log_likelihood_ratio(count / days, usual_share)
        weights = np.vstack([history.weights(first, day.row)[:, columns], np.ones(len(columns))])
        unlikely: Flags = (count > 1) & (height > _HIGH_SIGMAS) & (change > np.log1p(parameters.rise_share))
        unlikely &= (~spent | ((above > _RUN_DAY_SHARE * change) & (weights > 0))).all(0)
        sigmas = parameters.run_rise_sigmas + parameters.intermittent_extra_sigmas
        exceeds: Flags = np.sqrt(height**2 + 2 * days * frequency) > sigmas
        unlikely &= exceeds
        least_height = np.maximum(_HIGH_SIGMAS, np.sqrt(np.maximum(sigmas**2 - 2 * days * frequency, 0)))
        least = np.maximum(least_height * noise * np.sqrt(variance), np.log1p(parameters.rise_share))
        # The upper bound of the displayed range is the largest sum that would have passed the test.
        last = parameters.to_usd(level + day.weekday_effect[columns] + count * least - above[:-1].sum(0))
        before = self._panel.spend[first : day.row, columns].sum(0)
        expected = days * usual_share * parameters.to_usd(level)
        upper = before + np.maximum(last, day.expected[columns] + parameters.minimum_impact_usd)
        return unlikely, np.minimum(expected, upper), upper


def _sum_test(days: int, expected: Floats, upper: Floats, column: int) -> FailedTest:
    """Return the failed test of a sum over several days, whose range begins at zero."""
    usual, bound = expected[column].item(), upper[column].item()
    return FailedTest(days, usual, min(0.0, usual), bound)


def _log_likelihood_ratio(share: Floats, usual: Floats) -> Floats:
    """Return how unusually frequent active days are, as a log likelihood ratio per day.

    The ratio is 0 if the active days are not more frequent than usual.
    """
    rest = np.maximum(1 - share, 1e-12)
    ratio = share * np.log(share / usual) + rest * np.log(rest / (1 - usual))
    return np.where(share > usual, ratio, 0)


def _moving_sums(spend: Floats, days: int) -> Floats:
    """Return the sums over every `days` consecutive days."""
    sums = np.cumsum(np.vstack([np.zeros_like(spend[:1]), spend]), axis=0)
    moving: Floats = sums[days:] - sums[:-days]
    return moving
