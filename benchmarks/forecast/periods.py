"""Months and quarters, and the days on which each is forecast."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.forecast.series import Series
from openai_costs_dagster.days import ONE_DAY

LEAST_HISTORY = 60
"""Days that are known before anything is forecast."""
MONTH, QUARTER = 1, 3
"""Months of a period."""
DAYS = {MONTH: (5, 10, 15, 20, 25), QUARTER: (10, 30, 50, 70)}
"""The days of a period, counted from 1, at whose end it is forecast."""


class Period(NamedTuple):
    """Both ends included."""

    first: dt.date
    months: int

    @property
    def last(self) -> dt.date:
        """Its last day."""
        return _later(self.first, self.months) - ONE_DAY

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """The one that ends where this one begins."""
        return Period(_later(self.first, -self.months), self.months)


def forecasts(series: Series, months: int) -> Iterator[tuple[Period, int]]:
    """Every period that the series holds to its end, with each of its days that has enough history."""
    first, last = series.first, series.last
    for number in range(12 * (last.year - first.year + 1) // months):
        period = Period(_later(dt.date(first.year, 1, 1), number * months), months)
        for day in DAYS[months]:
            history = (period.first - first).days + day
            if first <= period.first and period.last <= last and history >= LEAST_HISTORY:
                yield period, day


def _later(first: dt.date, months: int) -> dt.date:
    """The first of a month, some months later."""
    years, month = divmod(first.month - 1 + months, 12)
    return dt.date(first.year + years, month + 1, 1)
