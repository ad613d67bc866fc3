"""Classifies series by their activity: spending every day, on fixed weekdays, or intermittently."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Integers

# The age in days from which a series is classified by its weekdays: three weeks of data are enough to see a pattern.
_MIN_AGE_DAYS = 21
_MOSTLY_ACTIVE = 0.8  # The share of days with spend from which a series is never intermittent.
# The value of `_MOSTLY_ACTIVE` for a series that is younger than `_MIN_AGE_DAYS`.
_NEARLY_ALWAYS_ACTIVE = 0.95
# The share of the variance of activity that the weekday must leave unexplained for irregular activity.
_IRREGULARITY = 0.4
# The smallest difference between working days, in their shares of days with spend, that is a weekday pattern.
_WEEKDAY_SPREAD = 0.6


class Activity(NamedTuple):
    """The activity of each series in the days that the baseline uses, before the evaluated day."""

    active: Flags
    """Whether a series spent on a day, as an array of the shape ``[days ago, series]``."""
    is_intermittent: Flags
    """Whether each series spends on days that the weekday does not predict."""
    on_some_weekdays: Flags
    """Whether each series always spends on some working days and never on others."""
    active_days: Integers


def classify_activity(active: Flags, age: Integers, weekday: int) -> Activity:
    """Classify the activity of each series.

    `active` has the shape ``[days ago, series]`` and begins with the day before the evaluated day. `age` is the number
    of days since the first spend of each series. `weekday` is the weekday of the evaluated day.
    """
    window = len(active)
    known = np.clip(age, 1, window)
    count = active.sum(0)
    rate = count / known
    weeks = np.maximum(known / 7, 1)
    by_weekday = np.stack([active[ago::7].sum(0) for ago in range(7)])
    share = np.minimum(by_weekday / weeks, 1)
    # The variance within weekdays is corrected for the small number of weeks (Bessel's correction).
    within = (share * (1 - share)).mean(0) * np.where(weeks > 1.5, weeks / np.maximum(weeks - 1, 0.5), 2)
    working_days = share[[(weekday - 1 - ago) % 7 < 5 for ago in range(7)]]
    on_some_weekdays = np.ptp(working_days, axis=0) > _WEEKDAY_SPREAD
    irregular = (rate < _MOSTLY_ACTIVE) & (within > _IRREGULARITY * rate * (1 - rate))
    possible = np.stack([(known + 6 - ago) // 7 for ago in range(7)])
    mixed_weekday = ((by_weekday > 0) & (by_weekday < possible)).any(0)
    # Two weeks of data cannot show a weekly pattern, so a young series counts as intermittent after a single gap.
    unsettled = (rate < _NEARLY_ALWAYS_ACTIVE) & (mixed_weekday | on_some_weekdays)
    is_intermittent = (rate > 0) & np.where(age >= _MIN_AGE_DAYS, irregular, unsettled)
    return Activity(active, is_intermittent, on_some_weekdays & ~is_intermittent, count)
