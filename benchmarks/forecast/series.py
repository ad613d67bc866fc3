"""The public daily series of the forecast benchmark. One unit counts as one US dollar."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from benchmarks.detection.real_series import FILE


@dataclass(frozen=True)
class Series:
    """A daily series without gaps: the amount in US dollars by UTC day."""

    name: str
    family: str
    """The source of the series; the series of one family resemble each other."""
    spend: dict[dt.date, Decimal]

    @property
    def first(self) -> dt.date:
        """The first day of the series."""
        return min(self.spend)

    @property
    def last(self) -> dt.date:
        """The last day of the series."""
        return max(self.spend)


def read(file: Path = FILE) -> list[Series]:
    """Return all series, sorted by name. Raises `FileNotFoundError` if the file does not exist next to the checkout."""
    series_by_name: dict[str, Series] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            series = series_by_name.setdefault(row["series"], Series(row["series"], row["family"], {}))
            series.spend[dt.date.fromisoformat(row["date"])] = Decimal(row["value"])
    return sorted(series_by_name.values(), key=lambda series: series.name)


def halves(series: Sequence[Series]) -> tuple[Sequence[Series], Sequence[Series]]:
    """Return the series for tuning, with odd numbers, and the held-out series, with even numbers."""
    return series[::2], series[1::2]
