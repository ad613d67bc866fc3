"""Retrospective estimates for real series, whose true expectation is unknown.

The estimate of a day uses the days before and after it.
"""

from __future__ import annotations

import numpy as np

from benchmarks.detection.drafts import Draft
from benchmarks.detection.panels import Floats, Integers

_ROUNDS = 3
_LEVEL_DAYS, _WEEK_DAYS, _NOISE_DAYS = 5, 42, 30  # on each side of the day
_LEAST_NOISE = 0.05
_SHARE_OF_ALL = 0.7
_CAREFUL = 1.15
_MAD = 1.4826  # converts a median absolute deviation to a standard deviation
_ODD = 4
_TELLING = 8
_LEAST_JUMP, _LEAST_SHARE = 3.0, 0.3


def hindsight(values: Floats, weekdays: Integers) -> tuple[Floats, Floats]:
    """Return the expectation in the unit of `values` and the noise on the log scale.

    The expectation consists of the median of neighboring days and the median effect of the weekday.
    """
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
    """Return the rows of the days that are far from the retrospective estimate."""
    spend, expected = np.maximum(draft.spend, 1e-9), np.maximum(draft.expected, 1e-9)
    odd = np.abs(np.log(spend / expected)) > _ODD * draft.noise
    large = np.abs(spend - expected) >= np.maximum(_LEAST_JUMP, _LEAST_SHARE * expected)
    return np.flatnonzero(odd & large & (draft.spend > 0)).tolist()


def _around(row: int, days: int) -> slice:
    return slice(max(0, row - days), row + days + 1)


def _weekday(rest: Floats, weekdays: Integers, row: int) -> float:
    around = _around(row, _WEEK_DAYS)
    return float(np.nan_to_num(_median(rest[around][weekdays[around] == weekdays[row]])))


def _spread(rest: Floats) -> float:
    """Return the larger of two robust deviations, one of which covers heavy tails; 0 if there are too few days."""
    distances = np.abs(rest[~np.isnan(rest)])
    if len(distances) <= _TELLING:
        return 0.0
    return float(max(_MAD * np.median(distances), np.quantile(distances, 0.9) / 1.645))


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan
