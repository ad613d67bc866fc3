"""What a real series' days would have cost, seen from both sides: the nearest thing to a truth that it has."""

from __future__ import annotations

import numpy as np

from benchmarks.detection.drafts import Draft
from benchmarks.detection.panels import Floats, Integers

_ROUNDS = 3
_LEVEL_DAYS, _WEEK_DAYS, _NOISE_DAYS = 5, 42, 30  # to either side
_LEAST_NOISE = 0.05
_SHARE_OF_ALL = 0.7
_CAREFUL = 1.15
_MAD = 1.4826  # makes a median of distances a normal's standard deviation
_ODD = 4
_TELLING = 8
_LEAST_JUMP, _LEAST_SHARE = 3.0, 0.3


def hindsight(values: Floats, weekdays: Integers) -> tuple[Floats, Floats]:
    """Expectation, in the values' unit, and noise on a log scale: medians of neighbours and of the same weekdays."""
    positive = values > 0
    logs = np.where(positive, np.log(np.where(positive, values, 1)), np.nan)
    week = np.zeros(len(logs))
    level = logs
    for _ in range(_ROUNDS):
        flat = logs - week
        level = np.array([_median(flat[_around(row, _LEVEL_DAYS)]) for row in range(len(logs))])
        week = np.array([_weekday(logs - level, weekdays, row) for row in range(len(logs))])
    rest = logs - level - week
    least = max(_LEAST_NOISE, _SHARE_OF_ALL * _MAD * _median(np.abs(rest)))
    noise = np.array([max(least, _spread(rest[_around(row, _NOISE_DAYS)])) for row in range(len(logs))])
    return np.where(positive, np.exp(np.nan_to_num(level + week)), 0), noise * _CAREFUL


def natural_jumps(draft: Draft) -> list[int]:
    """Days on which the series itself is far from what hindsight says."""
    spend, expected = np.maximum(draft.spend, 1e-9), np.maximum(draft.expected, 1e-9)
    odd = np.abs(np.log(spend / expected)) > _ODD * draft.noise
    worth = np.abs(spend - expected) >= np.maximum(_LEAST_JUMP, _LEAST_SHARE * expected)
    return np.flatnonzero(odd & worth & (draft.spend > 0)).tolist()


def _around(row: int, days: int) -> slice:
    return slice(max(0, row - days), row + days + 1)


def _weekday(rest: Floats, weekdays: Integers, row: int) -> float:
    around = _around(row, _WEEK_DAYS)
    return float(np.nan_to_num(_median(rest[around][weekdays[around] == weekdays[row]])))


def _spread(rest: Floats) -> float:
    """The larger of two robust deviations, one of which sees heavy tails; 0 where there is too little to tell."""
    distances = np.abs(rest[~np.isnan(rest)])
    if len(distances) <= _TELLING:
        return 0.0
    return float(max(_MAD * np.median(distances), np.quantile(distances, 0.9) / 1.645))


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan
