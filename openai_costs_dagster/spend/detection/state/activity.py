"""On which days a series spends at all: every day, on fixed weekdays, or now and then."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Integers

_KNOWN_AFTER = 21
_MOSTLY_ACTIVE = 0.8
_NEARLY_ALWAYS = 0.95
_IRREGULAR = 0.4
_SOME_WEEKDAYS = 0.6


class Activity(NamedTuple):
    """By series; `active[days ago, series]`."""

    active: Flags
    is_intermittent: Flags
    """Spend comes on days that the weekday does not tell."""
    on_some_weekdays: Flags
    """Some working days spend and others never do."""
    active_days: Integers


def classify_activity(active: Flags, age: Integers, weekday: int) -> Activity:
    """Reads the rhythm from the past, the day before first. `age` is the number of days since the first spend."""
    window = len(active)
    known = np.clip(age, 1, window)
    count = active.sum(0)
    rate = count / known
    weeks = np.maximum(known / 7, 1)
    came = np.stack([active[ago::7].sum(0) for ago in range(7)])
    share = np.minimum(came / weeks, 1)
    within = (share * (1 - share)).mean(0) * np.where(weeks > 1.5, weeks / np.maximum(weeks - 1, 0.5), 2)
    working = share[[(weekday - 1 - ago) % 7 < 5 for ago in range(7)]]
    some_weekdays = np.ptp(working, axis=0) > _SOME_WEEKDAYS
    irregular = (rate < _MOSTLY_ACTIVE) & (within > _IRREGULAR * rate * (1 - rate))
    there_were = np.stack([(known + 6 - ago) // 7 for ago in range(7)])
    came_and_did_not = ((came > 0) & (came < there_were)).any(0)
    unsettled = (rate < _NEARLY_ALWAYS) & (came_and_did_not | some_weekdays)  # two weeks do not tell a rhythm
    is_intermittent = (rate > 0) & np.where(age >= _KNOWN_AFTER, irregular, unsettled)
    return Activity(active, is_intermittent, some_weekdays & ~is_intermittent, count)
