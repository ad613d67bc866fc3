"""Daily spend as an array: a row per day, a column per series, from single rows of spend at several levels.

Amounts become floating point here and only here: an expectation is an estimate, and no amount is ever made from one.
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


class Spend(NamedTuple):
    """An amount in US dollars that a series had on a day."""

    series: SeriesKey
    day: dt.date
    amount: Decimal


@dataclass(frozen=True)
class Panel:
    """`spend[day, series]` in US dollars. A series lives from its first spend to its organization's last day."""

    first_day: dt.date
    series: tuple[SeriesKey, ...]
    spend: Floats
    born: Integers
    """By series: the row of its first spend; 0 where it spent before the first day."""
    last: Integers
    """By series: the row of its organization's last day."""
    parent: Integers
    """By series: the column of the total that it is a part of, a model's project or else the organization."""
    organization: Integers
    """By series: the column of its organization's total."""
    is_leaf: Flags

    @property
    def days(self) -> list[dt.date]:
        """The day of each row; UTC."""
        return [self.first_day + ONE_DAY * row for row in range(len(self.spend))]

    def row(self, day: dt.date) -> int:
        """Where a day stands."""
        return (day - self.first_day).days


def build_panel(spend: Iterable[Spend], older: Collection[SeriesKey] = ()) -> Panel:
    """Adds up what falls on the same series and day, exactly; days without spend are zero.

    The order of `spend` does not matter. The series in `older` spent before the first day, whatever they spend here.
    Raises ValueError where there is none.
    """
    sums: dict[SeriesKey, dict[dt.date, Decimal]] = {}
    for series, day, amount in spend:
        days = sums.setdefault(series, {})
        days[day] = days.get(day, Decimal(0)) + amount
    if not sums:
        raise ValueError("there is no spend to judge")
    ends = _last_days(sums)
    first = min(day for days in sums.values() for day in days)
    names = tuple(sorted(sums))
    column = {series: number for number, series in enumerate(names)}
    values = np.zeros(((max(ends.values()) - first).days + 1, len(names)))
    for series, days in sums.items():
        for day, amount in days.items():
            values[(day - first).days, column[series]] = amount
    born = np.where((values != 0).any(0), (values != 0).argmax(0), len(values))
    return Panel(
        first_day=first,
        series=names,
        spend=values,
        born=np.where([series in older for series in names], 0, born),
        last=np.array([(ends[series.organization] - first).days for series in names]),
        parent=np.array([_column_of(_parent(series), column) for series in names]),
        organization=np.array([column.get(SeriesKey(series.organization), NO_PARENT) for series in names]),
        is_leaf=np.array([series.is_leaf for series in names]),
    )


def true_columns(found: Flags) -> list[int]:
    """The columns of what was found."""
    columns: list[int] = np.flatnonzero(found).tolist()
    return columns


def _last_days(sums: dict[SeriesKey, dict[dt.date, Decimal]]) -> dict[str, dt.date]:
    ends: dict[str, dt.date] = {}
    for series, days in sums.items():
        ends[series.organization] = max(*days, ends.get(series.organization, dt.date.min))
    return ends


def _column_of(series: SeriesKey | None, column: dict[SeriesKey, int]) -> int:
    return NO_PARENT if series is None else column.get(series, NO_PARENT)


def _parent(series: SeriesKey) -> SeriesKey | None:
    if series == SeriesKey(series.organization):
        return None
    if series.project and series != SeriesKey(series.organization, series.project):
        return SeriesKey(series.organization, series.project)
    return SeriesKey(series.organization)
