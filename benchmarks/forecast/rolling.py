"""Rolling-origin evaluation: forecasts every period of every series on several days with the data known then."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, median

from benchmarks.forecast.contenders import SIMPLE_FORECASTS, Known, ours
from benchmarks.forecast.periods import MONTH, Period, forecasts
from benchmarks.forecast.series import Series
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.spend.forecast import Forecast

OURS = "ours"


@dataclass(frozen=True)
class Outcome:
    """A forecast and the actual total."""

    series: str
    family: str
    day: int
    """The last known day of the period, counted from 1."""
    history: int
    """The number of known days."""
    total: Decimal
    forecast: Forecast
    errors: Mapping[str, float]
    """The absolute error relative to the actual total, by contender."""
    seconds: float
    """The duration of the project's forecast."""

    @property
    def is_inside(self) -> bool:
        """Whether the interval contains the actual total."""
        return self.forecast.low <= self.total <= self.forecast.high

    @property
    def width(self) -> float:
        """The width of the interval, relative to the actual total."""
        return float((self.forecast.high - self.forecast.low) / self.total)


def outcomes(series: Iterable[Series], months: int) -> list[Outcome]:
    """Return the outcomes of all periods of `months` months.

    Periods without spend are left out, because their relative error is undefined.
    """
    candidates = (_outcome(item, period, day) for item in series for period, day in forecasts(item, months))
    return [outcome for outcome in candidates if outcome]


def coverage(chosen: Sequence[Outcome]) -> float:
    """Return the share of totals inside their interval."""
    return fmean(outcome.is_inside for outcome in chosen)


def below(chosen: Sequence[Outcome]) -> float:
    """Return the share of totals below their interval."""
    return fmean(outcome.total < outcome.forecast.low for outcome in chosen)


def width(chosen: Sequence[Outcome]) -> float:
    """Return the median width of the interval, relative to the total."""
    return median(outcome.width for outcome in chosen)


def mean_error(chosen: Sequence[Outcome], contender: str) -> float:
    """Return the mean absolute error, relative to the total."""
    return fmean(outcome.errors[contender] for outcome in chosen)


def median_error(chosen: Sequence[Outcome], contender: str) -> float:
    """Return the median absolute error, relative to the total."""
    return median(outcome.errors[contender] for outcome in chosen)


def _outcome(series: Series, period: Period, day: int) -> Outcome | None:
    total = sum((series.spend[period.first + n * ONE_DAY] for n in range(period.days)), Decimal(0))
    if not total:
        return None
    known_to = period.first + (day - 1) * ONE_DAY
    known = {date: amount for date, amount in series.spend.items() if date <= known_to}
    started_at = time.perf_counter()
    forecast = ours(known, period, known_to)
    seconds = time.perf_counter() - started_at
    totals = {OURS: forecast.expected} | _simple_totals(known, period, known_to)
    errors = {contender: abs(float((value - total) / total)) for contender, value in totals.items()}
    return Outcome(series.name, series.family, day, len(known), total, forecast, errors, seconds)


def _simple_totals(known: Known, period: Period, known_to: dt.date) -> dict[str, Decimal]:
    simple = [forecast for forecast in SIMPLE_FORECASTS if period.months == MONTH or not forecast.months_only]
    return {forecast.name: forecast.total(known, period, known_to) for forecast in simple}
