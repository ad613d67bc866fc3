"""The panel: an array of daily spend with a row per UTC day and a column per series.

Amounts become floating-point numbers only in this array. The detector's results are estimates, and no stored amount is
computed from floats.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.records import SeriesKey

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

NO_PARENT = -1
"""The value in `Panel.parent` for a series that is not contained in a total."""


class Spend(NamedTuple):
    """The spend of one series on one UTC day, in US dollars."""

    series: SeriesKey
    day: dt.date
    amount: Decimal


@dataclass(frozen=True)
class Panel:
    """The daily spend of all series, in US dollars.

    `spend` is an array of the shape ``[day, series]``. The lifetime of a series lasts from its first spend to the last
    day of its organization.
    """

    first_day: dt.date
    series: tuple[SeriesKey, ...]
    spend: Floats
    first_row: Integers
    """The row of the first spend of each series, or 0 if the series already spent before the first row."""
    last_row: Integers
    """The row of the last day of each series' organization."""
    parent: Integers
    """The column of the total that contains each series: its project, or else its organization."""
    organization: Integers
    """The column of the total of each series' organization."""
    is_leaf: Flags
    """Whether each series is a model within a project, the finest level."""

    @property
    def days(self) -> list[dt.date]:
        """The UTC day of each row."""
        return [self.first_day + ONE_DAY * row for row in range(len(self.spend))]

    def row(self, day: dt.date) -> int:
        """Return the row of a UTC day."""
        return (day - self.first_day).days


def build_panel(spend: Iterable[Spend], older: Collection[SeriesKey] = ()) -> Panel:
    """Arrange spend by day and series.

    Amounts of the same series and day are added up exactly, and days without spend are zero. The order of `spend` does
    not matter. `older` contains the series that already spent before the first day. Raises `ValueError` if `spend` is
    empty.
    """
    sums: dict[SeriesKey, dict[dt.date, Decimal]] = {}
    for series, day, amount in spend:
        days = sums.setdefault(series, {})
        days[day] = days.get(day, Decimal(0)) + amount
    if not sums:
        raise ValueError("a panel needs at least one row of spend")
    ends = _last_days(sums)
    first = min(day for days in sums.values() for day in days)
    names = tuple(sorted(sums))
    column = {series: number for number, series in enumerate(names)}
    values = np.zeros(((max(ends.values()) - first).days + 1, len(names)))
    for series, days in sums.items():
        for day, amount in days.items():
            values[(day - first).days, column[series]] = amount
    first_row = np.where((values != 0).any(0), (values != 0).argmax(0), len(values))
    return Panel(
        first_day=first,
        series=names,
        spend=values,
        first_row=np.where([series in older for series in names], 0, first_row),
        last_row=np.array([(ends[series.organization] - first).days for series in names]),
        parent=np.array([_column_of(_parent(series), column) for series in names]),
        organization=np.array([column.get(SeriesKey(series.organization), NO_PARENT) for series in names]),
        is_leaf=np.array([series.is_leaf for series in names]),
    )


def true_columns(found: Flags) -> list[int]:
    """Return the numbers of the columns in which `found` is true."""
    columns: list[int] = np.flatnonzero(found).tolist()
    return columns


def _last_days(sums: dict[SeriesKey, dict[dt.date, Decimal]]) -> dict[str, dt.date]:
    """Return the last day of each organization that has spend."""
    ends: dict[str, dt.date] = {}
    for series, days in sums.items():
        ends[series.organization] = max(*days, ends.get(series.organization, dt.date.min))
    return ends


def _column_of(series: SeriesKey | None, column: dict[SeriesKey, int]) -> int:
    return NO_PARENT if series is None else column.get(series, NO_PARENT)


def _parent(series: SeriesKey) -> SeriesKey | None:
    """Return the total that contains a series: its project, or else its organization.

    Return None for an organization.
    """
    if series == SeriesKey(series.organization):
        return None
    if series.project and series != SeriesKey(series.organization, series.project):
        return SeriesKey(series.organization, series.project)
    return SeriesKey(series.organization)
