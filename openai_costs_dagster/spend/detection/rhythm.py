"""On which days a series spends at all: every day, on fixed weekdays, or now and then."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers

_KNOWN_AFTER = 21
_MOSTLY_ACTIVE = 0.8
_IRREGULAR = 0.4
_SOME_WEEKDAYS = 0.6


class Rhythm(NamedTuple):
    """By series; `active[days ago, series]`."""

    active: Flags
    now_and_then: Flags
    """Spend comes on days that the weekday does not tell."""
    by_weekday: Flags
    """Some working days spend and others never do."""
    active_days: Integers


def rhythm_of(active: Flags, age: Integers, weekday: int) -> Rhythm:
    """Reads the rhythm from the past, the day before first. `age` is the number of days since the first spend."""
    window = len(active)
    known = np.clip(age, 1, window)
    count = active.sum(0)
    rate = count / known
    weeks = np.maximum(known / 7, 1)
    share = np.minimum(np.stack([active[ago::7].sum(0) / weeks for ago in range(7)]), 1)
    within = (share * (1 - share)).mean(0) * np.where(weeks > 1.5, weeks / np.maximum(weeks - 1, 0.5), 2)
    now_and_then = (
        (age >= _KNOWN_AFTER) & (rate > 0) & (rate < _MOSTLY_ACTIVE) & (within > _IRREGULAR * rate * (1 - rate))
    )
    working = share[[(weekday - 1 - ago) % 7 < 5 for ago in range(7)]]
    return Rhythm(active, now_and_then, (np.ptp(working, axis=0) > _SOME_WEEKDAYS) & ~now_and_then, count)


def everyday(values: Floats, floor: float) -> Flags:
    """Which days count as active."""
    return values > floor
