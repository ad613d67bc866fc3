"""The holidays of the generator, independent of the detector's calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from benchmarks.detection.panels import ONE_DAY

REGIONS: Mapping[str, float] = {"us": 0.5, "eu": 0.35, "other": 0.15}
"""The relative frequency of each region."""

_MONDAY, _THURSDAY = 0, 3


def rests(region: str, dates: Sequence[dt.date]) -> dict[int, float]:
    """Return the share of people who rest, from 0 to 1, by row. Normal working days are left out."""
    shares: dict[dt.date, float] = {}
    for year in sorted({day.year for day in dates}):
        shares |= _everywhere(year)
        if region == "us":
            shares |= _united_states(year)
        elif region == "eu":
            shares |= _europe(year)
    return {row: shares[day] for row, day in enumerate(dates) if day in shares}


def _everywhere(year: int) -> dict[dt.date, float]:
    days = {dt.date(year, 1, 1): 1.0, dt.date(year, 12, 24): 0.8, dt.date(year, 12, 25): 1.0}
    return days | {dt.date(year, 12, day): 0.7 for day in range(26, 32)}


def _united_states(year: int) -> dict[dt.date, float]:
    thanksgiving = _first(year, 11, _THURSDAY) + 21 * ONE_DAY
    memorial_day = dt.date(year, 5, 31)
    memorial_day -= ONE_DAY * memorial_day.weekday()
    return {
        dt.date(year, 7, 4): 1.0,
        thanksgiving: 1.0,
        thanksgiving + ONE_DAY: 0.8,
        _first(year, 9, _MONDAY): 0.9,
        memorial_day: 0.9,
    }


def _europe(year: int) -> dict[dt.date, float]:
    easter = _easter(year)
    return {
        dt.date(year, 5, 1): 1.0,
        easter - 2 * ONE_DAY: 0.9,
        easter + ONE_DAY: 0.9,
        easter + 39 * ONE_DAY: 0.8,
        easter + 50 * ONE_DAY: 0.8,
    }


def _first(year: int, month: int, weekday: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + ONE_DAY * ((weekday - first.weekday()) % 7)


def _easter(year: int) -> dt.date:
    """Return Easter Sunday by the Gregorian algorithm of New Scientist (1961)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * weekday) // 433
    month = (h + weekday - 7 * m + 90) // 25
    return dt.date(year, month, (h + weekday - 7 * m + 33 * month + 19) % 32)
