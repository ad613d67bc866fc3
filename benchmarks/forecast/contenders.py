"""The contenders of the forecast benchmark: the project's forecast and four simple ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from benchmarks.forecast.periods import Period
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.spend.forecast import Forecast, forecast_period

Known = Mapping[dt.date, Decimal]
"""The amounts in US dollars of the complete days, by UTC day."""

_WEEK = dt.timedelta(weeks=1)


@dataclass(frozen=True)
class SimpleForecast:
    """A simple forecast of a period."""

    name: str
    description: str
    total: Callable[[Known, Period, dt.date], Decimal]
    """A function that returns the total of the period in US dollars, from the days up to the given date."""
    months_only: bool = False
    """Whether only months are forecast, because the history is too short for quarters."""


def ours(known: Known, period: Period, known_to: dt.date) -> Forecast:
    """Return the project's forecast of a period."""
    forecast = forecast_period(known, period.first, period.last, known_to)
    assert forecast is not None
    return forecast


def _last_total(known: Known, period: Period, _: dt.date) -> Decimal:
    before = period.before
    return _sum(known, before.first, before.last)


def _run_rate(known: Known, period: Period, known_to: dt.date) -> Decimal:
    so_far = (known_to - period.first).days + 1
    return _sum(known, period.first, known_to) / so_far * period.days


def _four_weeks(known: Known, period: Period, known_to: dt.date) -> Decimal:
    weeks = _days(known_to - 4 * _WEEK + ONE_DAY, known_to)
    average = sum((known[day] for day in weeks if day in known), Decimal(0)) / 28
    return _sum(known, period.first, known_to) + average * (period.last - known_to).days


def _last_week(known: Known, period: Period, known_to: dt.date) -> Decimal:
    total = _sum(known, period.first, known_to)
    for day in _days(known_to + ONE_DAY, period.last):
        total += known[day - -(-(day - known_to) // _WEEK) * _WEEK]
    return total


def _sum(known: Known, first: dt.date, last: dt.date) -> Decimal:
    return sum((known[day] for day in _days(first, last)), Decimal(0))


def _days(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    return (first + number * ONE_DAY for number in range((last - first).days + 1))


SIMPLE_FORECASTS = (
    SimpleForecast("seasonal naive", "repeats the last seven days", _last_week),
    SimpleForecast("four weeks", "the average of the last four weeks for each remaining day", _four_weeks, True),
    SimpleForecast("run rate", "the average of the period's days so far, times the number of its days", _run_rate),
    SimpleForecast("naive", "the cost of the month before", _last_total, True),
)
"""The simple forecasts that are compared with the forecast of the project."""
