"""The rivals: simple rules as they are found in dashboards and packages, and one that is told the truth.

Each flags days by `[day, leaf]`, and a day by earlier days of its own leaf alone; days without spend are zeros, from
the first spend on. `worth` is the least difference in US dollars that is flagged.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.detection.panels import Flags, Floats, LabelledPanel

Rule = Callable[[LabelledPanel], Flags]

_MAD = 1.4826  # makes a median of distances a normal's standard deviation
_DEVIATIONS = 3
_ORACLE_DEVIATIONS, _ORACLE_WORTH, _ORACLE_SHARE = 3.4, 5.0, 0.25


def trailing_mean(panel: LabelledPanel) -> Flags:
    """More than the mean of 30 days, by three standard deviations, half of it and $10; from seven days on."""
    past, judged = _past(panel, 30, least=7)
    mean, deviation = np.nanmean(past, axis=-1), np.nanstd(past, axis=-1, ddof=1)
    limit = np.maximum.reduce([mean + _DEVIATIONS * deviation, 1.5 * mean, mean + 10])
    return _placed(judged, panel.spend[judged] > limit)


def z_score(panel: LabelledPanel, *, by_weekday: bool = False, worth: float = 0.0) -> Flags:
    """Three standard deviations from the mean of 14 days, or of 14 same weekdays; from seven of them on.

    These are the defaults of the dbt package Elementary (sensitivity 3, 14 days, at least 7 of them; seasonality by
    weekday makes them 14 weeks). It counts the judged day among the 14, which here, in its favour, is not done.
    """
    past, judged = _past(panel, 14, least=7, step=7 if by_weekday else 1)
    mean, deviation = np.nanmean(past, axis=-1), np.nanstd(past, axis=-1, ddof=1)
    return _placed(judged, _beyond(panel.spend[judged], mean, deviation, worth))


def weekday_median(panel: LabelledPanel, *, worth: float = 0.0) -> Flags:
    """Three deviations, told by the median distance, from the median of eight same weekdays; from four of them on."""
    past, judged = _past(panel, 8, least=4, step=7)
    median = np.nanmedian(past, axis=-1)
    deviation = _MAD * np.nanmedian(np.abs(past - median[:, None]), axis=-1)
    return _placed(judged, _beyond(panel.spend[judged], median, deviation, worth))


def oracle(panel: LabelledPanel) -> Flags:
    """3.4 true standard deviations from the true expectation, a quarter of it and $5.

    Nobody can know either. It judges each day alone, so that what is small every day and lasts can still escape it.
    """
    spend, expected = np.maximum(panel.spend, 1e-9), np.maximum(panel.expected, 1e-9)
    unlikely = np.abs(np.log(spend / expected)) > _ORACLE_DEVIATIONS * panel.noise
    worth = np.abs(spend - expected) >= np.maximum(_ORACLE_WORTH, _ORACLE_SHARE * expected)
    return np.asarray(unlikely & worth & panel.alive)


def outside(panel: LabelledPanel, lower: Floats, upper: Floats, *, worth: float = 0.0) -> Flags:
    """What lies outside given bounds in US dollars; NaN where there are none."""
    away = np.maximum(lower - panel.spend, panel.spend - upper)
    middle = (lower + upper) / 2
    return np.asarray((away > 0) & (np.abs(panel.spend - middle) >= worth) & panel.alive)


def _past(panel: LabelledPanel, count: int, *, least: int, step: int = 1) -> tuple[Floats, Flags]:
    """Every `step`-th of the days before each `[day, leaf]` that has enough of them, and which those are."""
    known = np.where(np.arange(len(panel.spend))[:, None] >= panel.born, panel.spend, np.nan)
    before = np.full((count * step, known.shape[1]), np.nan)
    windows = sliding_window_view(np.vstack([before, known])[:-1], count * step, axis=0)[..., ::step]
    judged = panel.alive & (np.isfinite(windows).sum(-1) >= least)
    return windows[judged], judged


def _beyond(spend: Floats, middle: Floats, deviation: Floats, worth: float) -> Flags:
    """Where there is no deviation at all, there is no score either."""
    away = np.abs(spend - middle)
    return np.asarray((deviation > 0) & (away > _DEVIATIONS * deviation) & (away >= worth))


def _placed(judged: Flags, found: Flags) -> Flags:
    flags = np.zeros(judged.shape, bool)
    flags[judged] = found
    return flags
