"""Public daily series, each unit taken for a dollar, and the two halves of them."""

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
    """A day's amount in US dollars by UTC day, without gaps."""

    name: str
    family: str
    """Of its source: those of one family resemble each other."""
    spend: dict[dt.date, Decimal]

    @property
    def first(self) -> dt.date:
        """Its first day."""
        return min(self.spend)

    @property
    def last(self) -> dt.date:
        """Its last day."""
        return max(self.spend)


def read(file: Path = FILE) -> list[Series]:
    """All series by name. Raises FileNotFoundError where the file is not beside the checkout."""
    found: dict[str, Series] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            one = found.setdefault(row["series"], Series(row["series"], row["family"], {}))
            one.spend[dt.date.fromisoformat(row["date"])] = Decimal(row["value"])
    return sorted(found.values(), key=lambda one: one.name)


def halves(series: Sequence[Series]) -> tuple[Sequence[Series], Sequence[Series]]:
    """To tune on and to report on: the first, third, ... of them, and the second, fourth, ..."""
    return series[::2], series[1::2]
