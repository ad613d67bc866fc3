"""The calendar for suppressed findings: public holidays, and the days around the turn of a month."""

from __future__ import annotations

import datetime as dt
from functools import cache

from openai_costs_dagster.days import ONE_DAY

# Holidays as pairs of month and day. If July 4 falls on a weekend, it is observed on July 3 or 5.
_FIXED = ((1, 1), (1, 2), (5, 1), (7, 3), (7, 4), (7, 5), (11, 11), (6, 19), *((12, day) for day in range(23, 32)))
_THURSDAY, _MONDAY = 3, 0
MONTH_END_DAYS = 3
"""The number of days before and after the turn of a month that count as month end."""


def is_holiday(day: dt.date) -> bool:
    """Return whether a UTC day is a public holiday of the United States, or one that most countries of Europe share."""
    return day in _holidays(day.year)


def month_position(day: dt.date) -> int | None:
    """Return the position of a day around the turn of a month: 0 to 2 for the first days, -3 to -1 for the last, or
    None.
    """
    if day.day <= MONTH_END_DAYS:
        return day.day - 1
    next_month = (day.replace(day=28) + 4 * ONE_DAY).replace(day=1)
    days_left = (next_month - day).days
    return -days_left if days_left <= MONTH_END_DAYS else None


@cache
def _holidays(year: int) -> frozenset[dt.date]:
    fixed = {dt.date(year, month, day) for month, day in _FIXED}
    easter = _easter(year)
    # From Good Friday to Easter Monday, Ascension Day, and Whit Monday.
    around_easter = {easter + ONE_DAY * days for days in (-2, -1, 0, 1, 39, 50)}
    thanksgiving = _nth(year, 11, _THURSDAY, 4)
    long_weekend = {thanksgiving + ONE_DAY * days for days in range(-1, 4)}
    mondays = {
        _nth(year, 1, _MONDAY, 3),
        _nth(year, 2, _MONDAY, 3),
        _last_monday_of_may(year),
        _nth(year, 9, _MONDAY, 1),
    }
    return frozenset(fixed | around_easter | long_weekend | mondays)


def _nth(year: int, month: int, weekday: int, number: int) -> dt.date:
    """Return the `number`-th occurrence of a weekday in a month."""
    first = dt.date(year, month, 1)
    return first + ONE_DAY * ((weekday - first.weekday()) % 7 + 7 * (number - 1))


def _last_monday_of_may(year: int) -> dt.date:
    last = dt.date(year, 5, 31)
    return last - ONE_DAY * last.weekday()


def _easter(year: int) -> dt.date:
    """Return the date of Easter Sunday, computed by the anonymous Gregorian algorithm (Nature, 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return dt.date(year, month, day + 1)
