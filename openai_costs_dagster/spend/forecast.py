"""Forecasts the spend of a period: the spend so far, plus an estimate for the remaining days.

The estimate consists of a level, a factor for each weekday and a damped trend. The interval around the estimate comes
from the same series: the method forecasts past days, and the errors of these forecasts determine the width of the
interval. A forecast as of `known_to` uses no data after that day.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.spend.money import EXACT, total

_Floats = NDArray[np.float64]
_Flags = NDArray[np.bool_]
_Rows = NDArray[np.int64]

_ZERO, _CENT = Decimal(0), Decimal("0.01")
_ROUNDING = Context(prec=EXACT.prec, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])

# The values below were tuned on one half of the series of `python -m benchmarks.forecast`, which reports results for
# the other half.
_WEEK = 7
_WINDOW = 8 * _WEEK  # The number of days of history that one forecast uses.
_RECENT = 4 * _WEEK  # The number of last days from which the level is estimated.
_HALF_LIFE = 4.0  # The number of days after which the weight of a day in the level has fallen to half.
# If a series spends less often than every 1.5 days on average, its half-life is proportionally longer.
_USUAL_PACE = 1.5
_SPIKES = 2  # The number of highest days, and of lowest days, that are clipped so that outliers do not move the level.
# The weight, in weeks, of the assumption that all weekdays are equal. The influence of this assumption shrinks as more
# weeks are known.
_WEEKDAY_PRIOR = 0.5
# The lower bound of a weekday's factor. With a factor of zero, any spend on the weekday would look infinite.
_MIN_WEEKDAY_FACTOR = 0.005
_FORTNIGHT = 14
_TREND = 0.3 / _FORTNIGHT  # The share per day of the growth from one fortnight to the next that the trend continues.
_DAMPING = 0.9  # The factor by which the trend shrinks with every day ahead.
_TREND_PRIOR = 0.5  # The number of average days that is added to both fortnights, so that small amounts show no trend.
_MAX_LOG_GROWTH = math.log(2)  # The trend changes the level at most to its double or to its half.
# The number of average days that is added to both sides of a ratio, so that zeros do not make it infinite.
_CUSHION = 0.1
_CREDIT_CUSHION = 1.0  # The value of `_CUSHION` for series with credits, whose sums may be negative.
_MIN_SUM = 0.05  # The lower bound of both sides of a ratio, as a share of the cushion.

_LOOKBACK = 365  # The number of past days whose forecasts are compared with their actual spend.
# The number of days between two past forecasts. A step of 7 days would test forecasts from one weekday only.
_STEP = 3
_MIN_HISTORY = 28  # The number of days of history that a past forecast needs.
# The number of days ahead up to which errors are measured. Errors further ahead are assumed to grow like a random walk.
_MAX_HORIZON = 91
_COVERAGE = 0.8  # The share of past forecast errors that the interval covers.
_PRIOR_SPREAD = 0.06  # The assumed error of a forecast of one day, as a logarithm, for a series without past forecasts.
_SPREAD_PRIOR_WEIGHT = 3.0  # The number of past forecasts that the assumption `_PRIOR_SPREAD` counts as.
# The number of days of history with which the interval is wider by a factor of the square root of 2.
_SHORT_HISTORY = 3.0
_MAX_SPREAD = math.log(10)  # The interval reaches at most from a tenth of the estimate to ten times the estimate.


class Forecast(NamedTuple):
    """The forecast of the spend in a whole period, in US dollars."""

    expected: Decimal
    low: Decimal
    """The lower end of the 80 % interval.

    If the future is like the past, the spend of one in ten periods is below it.
    """
    high: Decimal
    """The upper end of the 80 % interval.

    If the future is like the past, the spend of one in ten periods is above it.
    """


def forecast_period(
    spend: Mapping[dt.date, Decimal], first: dt.date, last: dt.date, known_to: dt.date
) -> Forecast | None:
    """Return the forecast of the period from `first` to `last`, both included, as of the end of the day `known_to`.

    `spend` contains US dollars by UTC day, in the period and before it. A day that is missing after the first day had
    no spend. Days after `known_to` are ignored. The spend so far is exact, and the rest is estimated to the cent.
    Returns None if `spend` has no day up to `known_to`. Raises `ValueError` if the period ends before it starts.
    """
    if last < first:
        raise ValueError(f"a period cannot end ({last}) before it starts ({first})")
    begin = min(spend, default=known_to + ONE_DAY)
    if begin > known_to:
        return None
    spent = total(amount for day, amount in spend.items() if first <= day <= min(last, known_to))
    if known_to >= last:
        return Forecast(spent, spent, spent)
    length = min((known_to - begin).days + 1, _LOOKBACK + _WINDOW)
    amounts = [spend.get(known_to - age * ONE_DAY, _ZERO) for age in range(length - 1, -1, -1)]
    ahead = range(max((first - known_to).days - 1, 0), (last - known_to).days)
    return Forecast(*(EXACT.add(spent, part) for part in _remainder(amounts, ahead)))


def _remainder(amounts: list[Decimal], ahead: range) -> tuple[Decimal, Decimal, Decimal]:
    """Return the expected, low and high spend of the days ahead, to the cent. Day 0 is the day after `known_to`."""
    largest = max(amounts, key=abs)
    if not largest:
        return _CENT * 0, _CENT * 0, _CENT * 0
    # Only the estimate uses floats. The spend so far stays exact. The largest amount is scaled to between 1 and 10,
    # because an amount may exceed the range of a float, and so that the result does not depend on the unit of money.
    exponent = largest.adjusted()
    sign = -1 if total(amounts) < 0 else 1
    values = sign * np.array([_ROUNDING.scaleb(amount, -exponent) for amount in amounts], dtype=np.float64)
    expected, *bounds = (sign * value for value in _estimate(values, ahead))
    low, high = sorted(bounds)
    return _dollars(expected, exponent), _dollars(low, exponent), _dollars(high, exponent)


def _dollars(value: float, exponent: int) -> Decimal:
    return _ROUNDING.quantize(_ROUNDING.scaleb(Decimal(value), exponent), _CENT)


def _estimate(values: _Floats, ahead: range) -> tuple[float, float, float]:
    """Return the expected, low and high sum of the days ahead. `values` contains the spend of each known day."""
    horizon = _shortened(ahead, len(values))
    past = np.arange(len(values) - horizon.stop, max(_MIN_HISTORY, len(values) - _LOOKBACK) - 1, -_STEP)
    states = _states(values, np.append(past, len(values)))
    cushions = (_CUSHION if values.min() >= 0 else _CREDIT_CUSHION) * states.size
    sums = np.concatenate([[0.0], values.cumsum()])
    actual = sums[past + horizon.stop] - sums[past + horizon.start]
    errors = _errors(actual, _ahead(states, horizon)[:-1], cushions[:-1] * len(horizon))
    spread = _spread(errors, ahead.stop, horizon.stop) * math.sqrt(1 + _SHORT_HISTORY / len(values))
    factor = math.exp(min(spread, _MAX_SPREAD))
    expected, cushion = _ahead(states, ahead)[-1].item(), cushions[-1].item() * len(ahead)
    middle = max(expected + cushion, _MIN_SUM * cushion)
    low, high = middle / factor - cushion, middle * factor - cushion
    if values.min() >= 0:
        low = max(low, 0.0)
    return expected, min(low, expected), max(high, expected)


def _shortened(ahead: range, known: int) -> range:
    """Return the days ahead over which past forecasts are tested: at most a third of the known days, but at least a
    week.
    """
    stop = min(ahead.stop, _MAX_HORIZON, max(_WEEK, known // 3), known)
    return range(ahead.start * stop // ahead.stop, stop)


def _errors(actual: _Floats, expected: _Floats, cushion: _Floats) -> _Floats:
    """Return the errors of past forecasts, as logarithms of actual divided by expected spend.

    Forecasts without any spend before them are left out.
    """
    some = cushion > 0
    least = _MIN_SUM * cushion
    above, below = np.maximum(actual + cushion, least), np.maximum(expected + cushion, least)
    return np.asarray(np.log(above[some] / below[some]))


def _spread(errors: _Floats, ahead: int, horizon: int) -> float:
    """Return half the width of the interval for `ahead` days, on a log scale, from errors over `horizon` days."""
    own, share = 0.0, 0.0
    if len(errors):
        own = np.quantile(np.abs(errors), _COVERAGE).item() / math.sqrt(horizon)
        # Past forecasts of overlapping days are not independent, so they count as fewer forecasts.
        apart = len(errors) * _STEP / max(horizon, _STEP)
        share = apart / (apart + _SPREAD_PRIOR_WEIGHT)
    return math.sqrt(ahead) * (share * own + (1 - share) * _PRIOR_SPREAD)


class _State(NamedTuple):
    """The level, weekday factors and trend of a series, before each of several rows."""

    weekdays: _Floats
    """The weekday factors, with an average of 1, in the shape ``[row, 7]``.

    The first factor is for the weekday of the row.
    """
    level: _Floats
    """The spend of an average day, by row."""
    trend: _Floats
    """The growth of the first day ahead as a logarithm, by row."""
    size: _Floats
    """The average absolute spend of a day in the window, by row."""


def _states(values: _Floats, rows: _Rows) -> _State:
    """Return the state of the series before each row. A forecast begins at one of these rows, or after the last row."""
    padded = np.concatenate([np.zeros(_WINDOW), values])
    window = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[rows]
    known = np.arange(_WINDOW) >= _WINDOW - rows[:, None]
    size = np.abs(window).sum(1) / known.sum(1)
    pace = _pace(window)
    weekdays = _weekdays(window, known, size, pace)
    factors = np.tile(weekdays, _RECENT // _WEEK)
    known = known[:, -_RECENT:]
    recent = _without_spikes(window[:, -_RECENT:] / factors, known, _SPIKES) * factors
    half_lives = _HALF_LIFE * np.maximum(pace / _USUAL_PACE, 1)
    weights = known * 0.5 ** (np.arange(_RECENT)[::-1] / half_lives[:, None])
    level = (weights * recent).sum(1) / (weights * factors).sum(1)
    return _State(weekdays, level, _trend(recent, known, size), size)


def _pace(window: _Floats) -> _Floats:
    """Return the average number of days between days with spend, by row, or 1 if there are fewer than two such days."""
    spent = window != 0
    between = _WINDOW - 1 - spent.argmax(1) - spent[:, ::-1].argmax(1)
    return np.where(spent.sum(1) > 1, between / np.maximum(spent.sum(1) - 1, 1), 1.0)


def _weekdays(window: _Floats, known: _Flags, size: _Floats, pace: _Floats) -> _Floats:
    shape = (len(window), _WINDOW // _WEEK, _WEEK)
    usual = _without_spikes(window.reshape(shape).swapaxes(1, 2), known.reshape(shape).swapaxes(1, 2), 1)
    counts = known.reshape(shape).sum(1)
    sums = usual.sum(2)
    average = sums.sum(1, keepdims=True) / counts.sum(1, keepdims=True)
    doubt = _WEEKDAY_PRIOR * pace[:, None] / np.maximum(counts, 1)
    factors = (sums + doubt * average) / (counts + doubt)
    factors = np.maximum(factors, _MIN_WEEKDAY_FACTOR * np.where(size > 0, size, 1)[:, None])
    return np.asarray(factors / factors.mean(1, keepdims=True))


def _without_spikes(values: _Floats, known: _Flags, spare: int) -> _Floats:
    """Clip the `spare` highest and the `spare` lowest known values along the last axis, so that outliers count less.

    Each clipped value becomes the nearest value that is not clipped, and unknown values become 0. A series that has too
    few days with spend is not clipped.
    """
    highest = np.sort(np.where(known, values, -np.inf), axis=-1)[..., -1 - spare, None]
    lowest = np.sort(np.where(known, values, np.inf), axis=-1)[..., spare, None]
    enough = (values != 0).sum(-1, keepdims=True) > 2 * spare
    return np.where(known, np.where(enough, np.clip(values, lowest, np.maximum(lowest, highest)), values), 0.0)


def _trend(recent: _Floats, known: _Flags, size: _Floats) -> _Floats:
    doubt = _TREND_PRIOR * _FORTNIGHT * np.where(size > 0, size, 1)
    now = np.maximum(recent[:, -_FORTNIGHT:].sum(1) + doubt, doubt / 2)
    before = np.maximum(recent[:, :-_FORTNIGHT].sum(1) + doubt, doubt / 2)
    return np.where(known.all(1), _TREND * np.log(now / before), 0.0)


def _ahead(states: _State, ahead: range) -> _Floats:
    """Return the expected sum of the days ahead, by row."""
    steps = np.cumsum(_DAMPING ** np.arange(ahead.stop))
    growth = np.exp(np.clip(states.trend[:, None] * steps, -_MAX_LOG_GROWTH, _MAX_LOG_GROWTH))
    weekdays = np.tile(states.weekdays, -(-ahead.stop // _WEEK))[:, : ahead.stop]
    return np.asarray(states.level * (weekdays * growth)[:, ahead.start :].sum(1))
