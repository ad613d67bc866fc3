"""The activity of series: whether a series spends every day, on fixed weekdays or intermittently."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Integers

_MIN_AGE_DAYS = 21  # age in days from which three weeks of data classify a series
_MOSTLY_ACTIVE = 0.8  # share of active days below which a series can be intermittent
# share of active days below which a series younger than `_MIN_AGE_DAYS` can be intermittent
_NEARLY_ALWAYS_ACTIVE = 0.95
# days are irregular if the weekday leaves at least this share of the variance of activity unexplained
_IRREGULARITY = 0.4
_WEEKDAY_SPREAD = 0.6  # least difference between working days, in their shares of active days, of a weekday pattern


class Activity(NamedTuple):
    """The activity of each series within the baseline's window, before the evaluated day."""

    active: Flags
    """Whether a series spent, as an array of the shape ``[days ago, series]``."""
    is_intermittent: Flags
    """Whether a series spends on days that the weekday does not predict."""
    on_some_weekdays: Flags
    """Whether a series spends on some working days and never on others."""
    active_days: Integers


def classify_activity(active: Flags, age: Integers, weekday: int) -> Activity:
    """Classify the activity of each series.

    `active` has the shape ``[days ago, series]``, beginning with the day before. `age` is the number of days since
    the first spend. `weekday` is that of the evaluated day.
    """
    window = len(active)
    known = np.clip(age, 1, window)
    count = active.sum(0)
    rate = count / known
    weeks = np.maximum(known / 7, 1)
    by_weekday = np.stack([active[ago::7].sum(0) for ago in range(7)])
    share = np.minimum(by_weekday / weeks, 1)
    # Variance within weekdays, corrected for the small number of weeks (Bessel's correction).
    within = (share * (1 - share)).mean(0) * np.where(weeks > 1.5, weeks / np.maximum(weeks - 1, 0.5), 2)
    working_days = share[[(weekday - 1 - ago) % 7 < 5 for ago in range(7)]]
    on_some_weekdays = np.ptp(working_days, axis=0) > _WEEKDAY_SPREAD
    irregular = (rate < _MOSTLY_ACTIVE) & (within > _IRREGULARITY * rate * (1 - rate))
    possible = np.stack([(known + 6 - ago) // 7 for ago in range(7)])
    mixed_weekday = ((by_weekday > 0) & (by_weekday < possible)).any(0)
    # Two weeks of data cannot show a weekly pattern, so a young series with any gap counts as intermittent.
    unsettled = (rate < _NEARLY_ALWAYS_ACTIVE) & (mixed_weekday | on_some_weekdays)
    is_intermittent = (rate > 0) & np.where(age >= _MIN_AGE_DAYS, irregular, unsettled)
    return Activity(active, is_intermittent, on_some_weekdays & ~is_intermittent, count)
