"""Months and quarters, and the days on which each is forecast."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.forecast.series import Series
from openai_costs_dagster.days import ONE_DAY

LEAST_HISTORY = 60
"""The number of days of history that a forecast needs."""
MONTH, QUARTER = 1, 3
"""The number of months of a period."""
DAYS = {MONTH: (5, 10, 15, 20, 25), QUARTER: (10, 30, 50, 70)}
"""The days of a period, counted from 1, at whose end the period is forecast."""


class Period(NamedTuple):
    """A period of whole months."""

    first: dt.date
    months: int

    @property
    def last(self) -> dt.date:
        """The last day of the period, included."""
        return _later(self.first, self.months) - ONE_DAY

    @property
    def days(self) -> int:
        """The number of days of the period."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> Period:
        """The period of the same length that ends the day before."""
        return Period(_later(self.first, -self.months), self.months)


def forecasts(series: Series, months: int) -> Iterator[tuple[Period, int]]:
    """Yield every complete period of a series with each forecast day that has enough history."""
    first, last = series.first, series.last
    for number in range(12 * (last.year - first.year + 1) // months):
        period = Period(_later(dt.date(first.year, 1, 1), number * months), months)
        for day in DAYS[months]:
            history = (period.first - first).days + day
            if first <= period.first and period.last <= last and history >= LEAST_HISTORY:
                yield period, day


def _later(first: dt.date, months: int) -> dt.date:
    """Return the first day of the month that is `months` later."""
    years, month = divmod(first.month - 1 + months, 12)
    return dt.date(first.year + years, month + 1, 1)
