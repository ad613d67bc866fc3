"""Validation and evaluation of cron expressions in UTC, without Dagster.

Dagster reports an invalid cron expression only when Dagster loads the definitions, and cannot name the line of the
configuration file. The check in this module runs earlier, while the line is still known.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator

from openai_costs_dagster.days import ONE_DAY

# The last field is the weekday, in which both 0 and 7 mean Sunday.
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def is_cron(text: str) -> bool:
    """Return whether a text is a cron expression of five numeric fields that ticks at least once.

    Lists, ranges and steps are allowed.
    """
    fields = text.split()
    if len(fields) != len(_CRON_RANGES):
        return False
    values = [_cron_values(field, *limits) for field, limits in zip(fields, _CRON_RANGES, strict=True)]
    if not all(values):
        return False
    # 2024 is a leap year, so 29 February counts as a day on which an expression can tick.
    longest_month = max(calendar.monthrange(2024, month)[1] for month in values[3])
    return fields[4] != "*" or min(values[2]) <= longest_month


def next_tick(cron: str, after: dt.datetime) -> dt.datetime:
    """Return the first tick after `after`, in UTC. Raises `ValueError` if the expression never ticks.

    As in cron itself, a day must match either the day or the weekday if both are restricted.
    """
    for moment in _ticks(cron, after.date(), ONE_DAY):
        if moment > after:
            return moment
    raise ValueError(f"{cron} never ticks")


def latest_tick(cron: str, until: dt.datetime) -> dt.datetime:
    """Return the last tick at or before `until`, in UTC. Raises `ValueError` if the expression never ticks."""
    for moment in _ticks(cron, until.date(), -ONE_DAY):
        if moment <= until:
            return moment
    raise ValueError(f"{cron} never ticks")


def _ticks(cron: str, start: dt.date, step: dt.timedelta) -> Iterator[dt.datetime]:
    """Yield the ticks of each day from `start` on, in the direction of `step`, for a little more than eight years."""
    minutes, hours, days, months, weekdays = (
        _cron_values(field, *limits) for field, limits in zip(cron.split(), _CRON_RANGES, strict=True)
    )
    times = sorted(
        (dt.time(hour, minute, tzinfo=dt.UTC) for hour in hours for minute in minutes), reverse=step < ONE_DAY
    )
    by_day, by_weekday = (field != "*" for field in (cron.split()[2], cron.split()[4]))
    for number in range(8 * 366 + 1):  # two leap days are at most eight years apart, for example around the year 2100
        day = start + number * step
        # Sunday is 7 in `isoweekday`, and 0 or 7 in a cron expression.
        fits_day, fits_weekday = day.day in days, bool({day.isoweekday(), day.isoweekday() % 7} & weekdays)
        fits = fits_day or fits_weekday if by_day and by_weekday else fits_day and fits_weekday
        if day.month in months and fits:
            yield from (dt.datetime.combine(day, time) for time in times)


def _cron_values(field: str, least: int, most: int) -> set[int]:
    """Return the numbers that a field selects, or an empty set if the field is invalid."""
    values: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/([1-9]\d?))?", part)
        if not match:
            return set()
        first = int(match[1]) if match[1] else least
        last = int(match[2]) if match[2] else (most if not match[1] or match[3] else first)
        if not least <= first <= last <= most:
            return set()
        values.update(range(first, last + 1, int(match[3] or 1)))
    return values
