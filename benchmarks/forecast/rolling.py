"""Forecasts from rolling origins: every period of every series, on several of its days, by what was known then."""

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
    """One forecast beside what came."""

    series: str
    family: str
    day: int
    """Of the period, counted from 1: the last known one."""
    history: int
    """Days that were known."""
    total: Decimal
    forecast: Forecast
    errors: Mapping[str, float]
    """By contender: how far the total was missed, relative to it."""
    seconds: float
    """What our forecast took."""

    @property
    def held(self) -> bool:
        """Whether the total is inside the interval."""
        return self.forecast.low <= self.total <= self.forecast.high

    @property
    def width(self) -> float:
        """Of the interval, relative to the total."""
        return float((self.forecast.high - self.forecast.low) / self.total)


def outcomes(series: Iterable[Series], months: int) -> list[Outcome]:
    """All periods of this many months; of a period without spend nothing is relative, so it is left out."""
    found = (_outcome(one, period, day) for one in series for period, day in forecasts(one, months))
    return [outcome for outcome in found if outcome]


def coverage(chosen: Sequence[Outcome]) -> float:
    """Share of totals inside their interval."""
    return fmean(outcome.held for outcome in chosen)


def below(chosen: Sequence[Outcome]) -> float:
    """Share of totals below it."""
    return fmean(outcome.total < outcome.forecast.low for outcome in chosen)


def width(chosen: Sequence[Outcome]) -> float:
    """The median interval, relative to the total."""
    return median(outcome.width for outcome in chosen)


def mean_error(chosen: Sequence[Outcome], who: str) -> float:
    """The mean absolute error, relative to the total."""
    return fmean(outcome.errors[who] for outcome in chosen)


def median_error(chosen: Sequence[Outcome], who: str) -> float:
    """The median absolute error, relative to the total."""
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
    said = {OURS: forecast.expected} | _said(known, period, known_to)
    errors = {who: abs(float((value - total) / total)) for who, value in said.items()}
    return Outcome(series.name, series.family, day, len(known), total, forecast, errors, seconds)


def _said(known: Known, period: Period, known_to: dt.date) -> dict[str, Decimal]:
    asked = [rival for rival in RIVALS if period.months == MONTH or not rival.months_only]
    return {rival.name: rival.total(known, period, known_to) for rival in asked}
