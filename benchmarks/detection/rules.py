"""The compared rules: simple rules of dashboards and packages, and an oracle that knows the true expectation.

Each rule returns flags of the shape ``[day, leaf]`` and uses only earlier days of the same leaf. Days without spend are
zero from the first spend on. `minimum_impact` is the smallest difference that is flagged, in US dollars.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.detection.panels import Flags, Floats, LabelledPanel

Rule = Callable[[LabelledPanel], Flags]

_MAD = 1.4826  # converts a median absolute deviation to a standard deviation
_DEVIATIONS = 3
_ORACLE_DEVIATIONS, _ORACLE_IMPACT, _ORACLE_SHARE = 3.4, 5.0, 0.25


def trailing_mean(panel: LabelledPanel) -> Flags:
    """Flag days above the mean of the last 30 days by three standard deviations, 50 % and $10.

    At least seven days are needed.
    """
    past, tested = _past(panel, 30, least=7)
    mean, deviation = np.nanmean(past, axis=-1), np.nanstd(past, axis=-1, ddof=1)
    limit = np.maximum.reduce([mean + _DEVIATIONS * deviation, 1.5 * mean, mean + 10])
    return _fill_mask(tested, panel.spend[tested] > limit)


def z_score(panel: LabelledPanel, *, by_weekday: bool = False, minimum_impact: float = 0.0) -> Flags:
    """Flag days three standard deviations from the mean of the last 14 days, or of 14 days with the same weekday.

    These are the defaults of the dbt package Elementary: sensitivity 3 and a training period of 14 days, of which at
    least 7 are needed; weekly seasonality extends it to 14 weeks. Elementary includes the tested day in the period.
    This implementation excludes it, which improves Elementary's figures.
    """
    past, tested = _past(panel, 14, least=7, step=7 if by_weekday else 1)
    mean, deviation = np.nanmean(past, axis=-1), np.nanstd(past, axis=-1, ddof=1)
    return _fill_mask(tested, _is_far(panel.spend[tested], mean, deviation, minimum_impact))


def weekday_median(panel: LabelledPanel, *, minimum_impact: float = 0.0) -> Flags:
    """Flag days three robust deviations from the median of the last eight days with the same weekday.

    The deviation is the scaled median absolute deviation. At least four days are needed.
    """
    past, tested = _past(panel, 8, least=4, step=7)
    median = np.nanmedian(past, axis=-1)
    deviation = _MAD * np.nanmedian(np.abs(past - median[:, None]), axis=-1)
    return _fill_mask(tested, _is_far(panel.spend[tested], median, deviation, minimum_impact))


def oracle(panel: LabelledPanel) -> Flags:
    """Flag days 3.4 true standard deviations, 25 % and $5 away from the true expectation.

    Both are unknown in practice. The oracle evaluates each day alone, so it can miss an anomaly that is small every
    day.
    """
    spend, expected = np.maximum(panel.spend, 1e-9), np.maximum(panel.expected, 1e-9)
    unlikely = np.abs(np.log(spend / expected)) > _ORACLE_DEVIATIONS * panel.noise
    is_large = np.abs(spend - expected) >= np.maximum(_ORACLE_IMPACT, _ORACLE_SHARE * expected)
    return np.asarray(unlikely & is_large & panel.alive)


def outside(panel: LabelledPanel, lower: Floats, upper: Floats, *, minimum_impact: float = 0.0) -> Flags:
    """Flag days outside the given bounds in US dollars. A day without bounds has NaN and is not flagged."""
    away = np.maximum(lower - panel.spend, panel.spend - upper)
    middle = (lower + upper) / 2
    return np.asarray((away > 0) & (np.abs(panel.spend - middle) >= minimum_impact) & panel.alive)


def _past(panel: LabelledPanel, count: int, *, least: int, step: int = 1) -> tuple[Floats, Flags]:
    """Return every `step`-th earlier day of each ``[day, leaf]`` with at least `least` such days, and their mask."""
    known = np.where(np.arange(len(panel.spend))[:, None] >= panel.born, panel.spend, np.nan)
    before = np.full((count * step, known.shape[1]), np.nan)
    windows = sliding_window_view(np.vstack([before, known])[:-1], count * step, axis=0)[..., ::step]
    tested = panel.alive & (np.isfinite(windows).sum(-1) >= least)
    return windows[tested], tested


def _is_far(spend: Floats, middle: Floats, deviation: Floats, minimum_impact: float) -> Flags:
    """Return whether each day is far from the middle; days without any deviation are never flagged."""
    away = np.abs(spend - middle)
    return np.asarray((deviation > 0) & (away > _DEVIATIONS * deviation) & (away >= minimum_impact))


def _fill_mask(tested: Flags, values: Flags) -> Flags:
    flags = np.zeros(tested.shape, bool)
    flags[tested] = values
    return flags
