"""UTC days, the unit in which OpenAI bills and this project thinks.

Every room may use this vocabulary; it depends on none of them. A day is a `datetime.date` and always means
the 24 hours from midnight UTC, whatever the host's time zone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ONE_DAY = dt.timedelta(days=1)

RECENT_DAYS = 30
"""The last days, today included, over which open anomalies and allocated shares are counted wherever they are shown."""


def utc_now() -> dt.datetime:
    """The present moment, aware and in UTC."""
    return dt.datetime.now(dt.UTC)


def utc_midnight(day: dt.date) -> dt.datetime:
    """The first moment of a day."""
    return dt.datetime.combine(day, dt.time.min, dt.UTC)


def unix_midnight(day: dt.date) -> int:
    """The first moment of a day in Unix seconds."""
    return int(utc_midnight(day).timestamp())


def day_of_unix_midnight(seconds: int) -> dt.date | None:
    """The day that begins at a Unix second, or None where that second is no UTC midnight."""
    days, rest = divmod(seconds, 86_400)
    try:
        return None if rest else dt.date(1970, 1, 1) + dt.timedelta(days=days)
    except OverflowError:  # beyond every calendar, as milliseconds are
        return None


def first_recent_day(today: dt.date) -> dt.date:
    """The first of the last `RECENT_DAYS` days."""
    return today - (RECENT_DAYS - 1) * ONE_DAY


@dataclass(frozen=True, order=True)
class DayRange:
    """A run of days without gaps, both ends included."""

    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"a range of days cannot end ({self.last}) before it starts ({self.first})")

    def __iter__(self) -> Iterator[dt.date]:
        return (self.first + n * ONE_DAY for n in range(len(self)))

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: object) -> bool:
        return isinstance(day, dt.date) and self.first <= day <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def intersection(self, first: dt.date | None, last: dt.date | None) -> DayRange | None:
        """The days shared with first..last, where None is without end; None if there are none."""
        low, high = max(self.first, first or self.first), min(self.last, last or self.last)
        return DayRange(low, high) if low <= high else None

    @classmethod
    def covering(cls, days: Iterable[dt.date]) -> list[DayRange]:
        """The fewest ranges that hold exactly these days, in order."""
        ranges: list[DayRange] = []
        for day in sorted(set(days)):
            if ranges and ranges[-1].last + ONE_DAY == day:
                ranges[-1] = cls(ranges[-1].first, day)
            else:
                ranges.append(cls(day, day))
        return ranges
