"""Rolling-origin evaluation: forecasts every period of every series on several days with the data known then."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, median

from benchmarks.forecast.contenders import RIVALS, Known, ours
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
    found = (_outcome(one, period, day) for one in series for period, day in forecasts(one, months))
    return [outcome for outcome in found if outcome]


def coverage(chosen: Sequence[Outcome]) -> float:
    """Return the share of totals inside their interval."""
    return fmean(outcome.is_inside for outcome in chosen)


def below(chosen: Sequence[Outcome]) -> float:
    """Return the share of totals below their interval."""
    return fmean(outcome.total < outcome.forecast.low for outcome in chosen)


def width(chosen: Sequence[Outcome]) -> float:
    """Return the median width of the interval, relative to the total."""
    return median(outcome.width for outcome in chosen)


def mean_error(chosen: Sequence[Outcome], who: str) -> float:
    """Return the mean absolute error, relative to the total."""
    return fmean(outcome.errors[who] for outcome in chosen)


def median_error(chosen: Sequence[Outcome], who: str) -> float:
    """Return the median absolute error, relative to the total."""
    return median(outcome.errors[who] for outcome in chosen)


def _outcome(series: Series, period: Period, day: int) -> Outcome | None:
    total = sum((series.spend[period.first + n * ONE_DAY] for n in range(period.days)), Decimal(0))
    if not total:
        return None
    known_to = period.first + (day - 1) * ONE_DAY
    known = {date: amount for date, amount in series.spend.items() if date <= known_to}
    began = time.perf_counter()
    forecast = ours(known, period, known_to)
    seconds = time.perf_counter() - began
    totals = {OURS: forecast.expected} | _rival_totals(known, period, known_to)
    errors = {who: abs(float((value - total) / total)) for who, value in totals.items()}
    return Outcome(series.name, series.family, day, len(known), total, forecast, errors, seconds)


def _rival_totals(known: Known, period: Period, known_to: dt.date) -> dict[str, Decimal]:
    rivals = [rival for rival in RIVALS if period.months == MONTH or not rival.months_only]
    return {rival.name: rival.total(known, period, known_to) for rival in rivals}
