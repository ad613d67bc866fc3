"""What a period will have cost at its end: what was spent, and the days left by level, weekday and damped trend.

The interval comes from the series itself: the same method is run at past days, and how far it was off there, over as
many days ahead, is how far it may be off now. Nothing here ever looks beyond the day that it is told to know.
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

# Chosen on one half of the series of `python -m benchmarks.forecast`, which reports on the other half.
_WEEK = 7
_WINDOW = 8 * _WEEK  # what one forecast looks at
_RECENT = 4 * _WEEK  # and what its level comes from
_HALF_LIFE = 4.0  # days
_USUAL_PACE = 1.5  # days from spend to spend; where it is rarer, the level is as much slower
_SPIKES = 2  # days, the highest and as many of the lowest, that cannot move the level
_WEEKDAY_DOUBT = 0.5  # of even spend in what one week tells of a weekday; it fades with the square of the weeks
_LEAST_FACTOR = 0.005  # of a weekday; on one without any spend a first dollar would else seem infinite
_FORTNIGHT = 14
_TREND = 0.3 / _FORTNIGHT  # a day's share of how the last fortnight differs from the one before,
_DAMPING = 0.9  # which fades by as much with every day ahead
_TREND_DOUBT = 0.5  # average days mixed into both fortnights: few dollars show no trend
_MOST_GROWTH = math.log(2)
_CUSHION = 0.1  # average days added to both sides of a ratio, which zeros would else make infinite
_CREDITED_CUSHION = 1.0  # the same where credits may turn a sum negative
_LEAST_SUM = 0.05  # of the cushion

_LOOKBACK = 365  # days in which past forecasts are judged
_STEP = 3  # days between these; no divisor of a week
_LEAST_HISTORY = 28  # days before the first of them
_LONGEST = 91  # days ahead over which errors are measured; beyond, they grow as a random walk's
_HELD = 0.8  # of past errors are within the interval
_SPREAD = 0.06  # of one day ahead, on a log scale, where the series has not shown its own yet
_SPREAD_DOUBT = 3.0  # forecasts' worth of that which is mixed in
_LEVEL_DOUBT = 3.0  # days of history at which the interval is wider by a factor of the root of two
_MOST_SPREAD = math.log(10)


class Forecast(NamedTuple):
    """US dollars at the period's end."""

    expected: Decimal
    low: Decimal
    """One in ten periods ends below, if the future is like the past."""
    high: Decimal
    """One in ten ends above."""


def forecast_period(
    spend: Mapping[dt.date, Decimal], first: dt.date, last: dt.date, known_to: dt.date
) -> Forecast | None:
    """What first..last (both included) will have cost, by what was known at the end of `known_to`.

    `spend` holds US dollars by UTC day, before and in the period; absent days from its first one on are zero spend,
    days after `known_to` are ignored. What was spent is exact, the rest is estimated to the cent. None where nothing
    is known. Raises ValueError for a period that ends before it starts.
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
    """Expected, low and high of the days ahead, 0 being the day after the last known one, to the cent."""
    largest = max(amounts, key=abs)
    if not largest:
        return _CENT * 0, _CENT * 0, _CENT * 0
    # The one place where amounts become floats: for an estimate, never for what was spent. A decimal may be beyond a
    # float's range; and with the largest amount from 1 to 10, no unit of money is special.
    exponent = largest.adjusted()
    sign = -1 if total(amounts) < 0 else 1
    values = sign * np.array([_ROUNDING.scaleb(amount, -exponent) for amount in amounts], dtype=np.float64)
    expected, *bounds = (sign * value for value in _estimate(values, ahead))
    low, high = sorted(bounds)
    return _dollars(expected, exponent), _dollars(low, exponent), _dollars(high, exponent)


def _dollars(value: float, exponent: int) -> Decimal:
    return _ROUNDING.quantize(_ROUNDING.scaleb(Decimal(value), exponent), _CENT)


def _estimate(values: _Floats, ahead: range) -> tuple[float, float, float]:
    """Expected, low and high of the sum of the days ahead; `values` are those of each known day."""
    judged = _shortened(ahead, len(values))
    past = np.arange(len(values) - judged.stop, max(_LEAST_HISTORY, len(values) - _LOOKBACK) - 1, -_STEP)
    rhythm = _rhythm(values, np.append(past, len(values)))
    cushions = (_CUSHION if values.min() >= 0 else _CREDITED_CUSHION) * rhythm.size
    sums = np.concatenate([[0.0], values.cumsum()])
    actual = sums[past + judged.stop] - sums[past + judged.start]
    errors = _errors(actual, _ahead(rhythm, judged)[:-1], cushions[:-1] * len(judged))
    spread = _spread(errors, ahead.stop, judged.stop) * math.sqrt(1 + _LEVEL_DOUBT / len(values))
    factor = math.exp(min(spread, _MOST_SPREAD))
    expected, cushion = _ahead(rhythm, ahead)[-1].item(), cushions[-1].item() * len(ahead)
    middle = max(expected + cushion, _LEAST_SUM * cushion)
    low, high = middle / factor - cushion, middle * factor - cushion
    if values.min() >= 0:
        low = max(low, 0.0)
    return expected, min(low, expected), max(high, expected)


def _shortened(ahead: range, known: int) -> range:
    """Days ahead over which past forecasts can be judged: not many more than were seen a few times."""
    stop = min(ahead.stop, _LONGEST, max(_WEEK, known // 3), known)
    return range(ahead.start * stop // ahead.stop, stop)


def _errors(actual: _Floats, expected: _Floats, cushion: _Floats) -> _Floats:
    """Log of actual to expected, both of them on a cushion; none where nothing had been spent."""
    some = cushion > 0
    least = _LEAST_SUM * cushion
    above, below = np.maximum(actual + cushion, least), np.maximum(expected + cushion, least)
    return np.asarray(np.log(above[some] / below[some]))


def _spread(errors: _Floats, ahead: int, judged: int) -> float:
    """Half the interval on a log scale: from errors over `judged` days to one over `ahead` days."""
    own, share = 0.0, 0.0
    if len(errors):
        own = np.quantile(np.abs(errors), _HELD).item() / math.sqrt(judged)
        apart = len(errors) * _STEP / max(judged, _STEP)  # forecasts of overlapping days err together
        share = apart / (apart + _SPREAD_DOUBT)
    return math.sqrt(ahead) * (share * own + (1 - share) * _SPREAD)


class _Rhythm(NamedTuple):
    """What a series was like before each of some rows."""

    weekdays: _Floats
    """[row, 7], around 1; the first is the weekday of the row itself."""
    level: _Floats
    """[row]: an average day."""
    trend: _Floats
    """[row]: log growth of the first day ahead."""
    size: _Floats
    """[row]: an average day of the window, regardless of sign."""


def _rhythm(values: _Floats, rows: _Rows) -> _Rhythm:
    """What was known before each row, which may be the one after the last."""
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
    return _Rhythm(weekdays, level, _trend(recent, known, size), size)


def _pace(window: _Floats) -> _Floats:
    """[row]: days from one day with spend to the next, on average; 1 where there are not two of them."""
    spent = window != 0
    between = _WINDOW - 1 - spent.argmax(1) - spent[:, ::-1].argmax(1)
    return np.where(spent.sum(1) > 1, between / np.maximum(spent.sum(1) - 1, 1), 1.0)


def _weekdays(window: _Floats, known: _Flags, size: _Floats, pace: _Floats) -> _Floats:
    shape = (len(window), _WINDOW // _WEEK, _WEEK)
    usual = _without_spikes(window.reshape(shape).swapaxes(1, 2), known.reshape(shape).swapaxes(1, 2), 1)
    counts = known.reshape(shape).sum(1)
    sums = usual.sum(2)
    average = sums.sum(1, keepdims=True) / counts.sum(1, keepdims=True)
    doubt = _WEEKDAY_DOUBT * pace[:, None] / np.maximum(counts, 1)
    factors = (sums + doubt * average) / (counts + doubt)
    factors = np.maximum(factors, _LEAST_FACTOR * np.where(size > 0, size, 1)[:, None])
    return np.asarray(factors / factors.mean(1, keepdims=True))


def _without_spikes(values: _Floats, known: _Flags, spare: int) -> _Floats:
    """Along the last axis, the `spare` highest and lowest known values moved to the next one; unknown ones are 0.

    Where spend is so rare that they were all of it, they stay.
    """
    highest = np.sort(np.where(known, values, -np.inf), axis=-1)[..., -1 - spare, None]
    lowest = np.sort(np.where(known, values, np.inf), axis=-1)[..., spare, None]
    enough = (values != 0).sum(-1, keepdims=True) > 2 * spare
    return np.where(known, np.where(enough, np.clip(values, lowest, np.maximum(lowest, highest)), values), 0.0)


def _trend(recent: _Floats, known: _Flags, size: _Floats) -> _Floats:
    doubt = _TREND_DOUBT * _FORTNIGHT * np.where(size > 0, size, 1)
    now = np.maximum(recent[:, -_FORTNIGHT:].sum(1) + doubt, doubt / 2)
    before = np.maximum(recent[:, :-_FORTNIGHT].sum(1) + doubt, doubt / 2)
    return np.where(known.all(1), _TREND * np.log(now / before), 0.0)


def _ahead(rhythm: _Rhythm, ahead: range) -> _Floats:
    """[row]: the sum of the days ahead, as expected before each row."""
    steps = np.cumsum(_DAMPING ** np.arange(ahead.stop))
    growth = np.exp(np.clip(rhythm.trend[:, None] * steps, -_MOST_GROWTH, _MOST_GROWTH))
    weekdays = np.tile(rhythm.weekdays, -(-ahead.stop // _WEEK))[:, : ahead.stop]
    return np.asarray(rhythm.level * (weekdays * growth)[:, ahead.start :].sum(1))
