"""UTC days and ranges of days. OpenAI bills by the UTC day.

A `datetime.date` in this project always means the 24 hours from midnight UTC, whatever the time zone of the host.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ONE_DAY = dt.timedelta(days=1)

RECENT_DAYS = 30
"""The number of days, including today, over which open anomalies and the allocated share are counted."""


def utc_now() -> dt.datetime:
    """Return the current time, aware and in UTC."""
    return dt.datetime.now(dt.UTC)


def utc_midnight(day: dt.date) -> dt.datetime:
    """Return the UTC midnight at which a day begins."""
    return dt.datetime.combine(day, dt.time.min, dt.UTC)


def unix_midnight(day: dt.date) -> int:
    """Return the Unix seconds of the UTC midnight at which a day begins."""
    return int(utc_midnight(day).timestamp())


def day_of_unix_midnight(seconds: int) -> dt.date | None:
    """Return the day that begins at a Unix second, or None if that second is not a UTC midnight."""
    # Unix time does not count leap seconds, so every UTC day has 86,400 seconds.
    days, remainder = divmod(seconds, 86_400)
    try:
        return None if remainder else dt.date(1970, 1, 1) + dt.timedelta(days=days)
    except OverflowError:  # The number is too large for a date, for example because it counts milliseconds.
        return None


def first_recent_day(today: dt.date) -> dt.date:
    """Return the first of the last `RECENT_DAYS` days, which include `today`."""
    return today - (RECENT_DAYS - 1) * ONE_DAY


@dataclass(frozen=True, order=True)
class DayRange:
    """A range of consecutive days. Both ends are included."""

    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"the last day {self.last} is before the first day {self.first}")

    def __iter__(self) -> Iterator[dt.date]:
        return (self.first + n * ONE_DAY for n in range(len(self)))

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, dt.date) and self.first <= day <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def intersection(self, first: dt.date | None, last: dt.date | None) -> DayRange | None:
        """Return the days that lie in first..last as well, or None if there are no such days.

        A bound of None means no limit on that side.
        """
        low, high = max(self.first, first or self.first), min(self.last, last or self.last)
        return DayRange(low, high) if low <= high else None

    @classmethod
    def covering(cls, days: Iterable[dt.date]) -> list[DayRange]:
        """Return the fewest ranges that contain exactly these days, in order."""
        ranges: list[DayRange] = []
        for day in sorted(set(days)):
            if ranges and ranges[-1].last + ONE_DAY == day:
                ranges[-1] = cls(ranges[-1].first, day)
            else:
                ranges.append(cls(day, day))
        return ranges
