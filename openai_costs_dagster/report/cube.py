"""The spend by day and dimension in a compact form, from which the scripts of the page compute every sum.

The page has no server that could answer queries. The page therefore contains the spend of every combination of
organization, project, service, model, user and API key as a series of daily amounts. Amounts are whole billionths of a
US dollar. JavaScript represents sums of up to nine million dollars exactly, and larger sums to the cent.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

from openai_costs_dagster.warehouse.report_queries import Cell

OTHERS = "(others)"
"""The label under which small users, API keys, projects and models are added up to limit the size of the page."""

_BILLIONTHS = 9  # the number of decimal places of an amount on the page
# OpenAI's amounts have up to 34 digits, and Python's default context would round their sums to 28 digits.
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


class _Dimensions(NamedTuple):
    """A combination of dimension values. None means spend without a project, model, user or API key."""

    organization: str
    project: str | None
    service: str
    model: str | None
    user: str | None
    key: str | None


_Days = dict[int, Decimal]  # amounts in US dollars by day number, counted from the first day of the report
_Spend = dict[_Dimensions, _Days]
# an organization with one value of each dimension that is added up, such as a user and an API key
_Member = tuple[str | None, ...]


class PackedSeries(NamedTuple):
    """The daily amounts of one combination of dimension values, in billionths of a US dollar.

    The first six fields are indexes into `Cube.names`, or None. Without `offsets`, the amounts belong to consecutive
    days from the day number `first` on. With `offsets`, the amount at index i belongs to the day number `first +
    offsets[i]`.
    """

    organization: int | None
    project: int | None
    service: int | None
    model: int | None
    user: int | None
    key: int | None
    first: int
    amounts: list[int]
    offsets: list[int] | None


@dataclass
class Cube:
    """The spend of a report by day and dimension."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    """Pairs of organization and id, for each dimension.

    The organization is empty for services and models, because all organizations have these in common.
    """
    series: list[PackedSeries] = field(default_factory=list)
    folded: dict[str, int] = field(default_factory=dict)
    """The number of values that are added up under `OTHERS`, by the name of their group."""


# The groups that are added up under `OTHERS`, in this order. Users and API keys come first, because they are the most
# numerous.
_FOLDS = {"users and keys": ("user", "key"), "projects": ("project",), "models": ("model",)}


def pack(cells: Iterable[Cell], first_day: dt.date, max_numbers: int) -> Cube:
    """Add up the cells by day and dimensions into a cube of about `max_numbers` numbers.

    If the cube would be larger, the users and API keys with the least spend are added up under `OTHERS`. If the cube is
    still too large, small projects are added up, and then small models. No total changes.
    """
    spend: _Spend = defaultdict(dict)
    for organization, day, project, service, model, user, key, amount in cells:
        days, number = spend[_Dimensions(organization, project, service, model, user, key)], (day - first_day).days
        days[number] = _WIDE.add(days.get(number, Decimal(0)), amount)
    cube = Cube({name: [] for name in _Dimensions._fields})
    for group, dimensions in _FOLDS.items():
        if folded := _fold(spend, dimensions, max_numbers):
            cube.folded[group] = folded
    indexes: dict[tuple[str, str, str], int] = {}
    # The series are sorted, because the order in which the database returns rows must not change the page.
    for values, days in sorted(spend.items(), key=lambda item: _sort_key(item[0])):
        named = [
            _index_of(cube, indexes, values.organization, dimension, value)
            for dimension, value in zip(_Dimensions._fields, values, strict=True)
        ]
        cube.series.append(PackedSeries._make([*named, *_encode(days)]))
    return cube


def daily_dollars(cube: Cube, days: int) -> list[float]:
    """Return the total spend of each of the first `days` days in US dollars, rounded to the cent, for charts."""
    sums = [0] * days
    for *_, first, amounts, offsets in cube.series:
        for number, amount in zip(offsets or range(len(amounts)), amounts, strict=True):
            sums[first + number] += amount
    return [round(billionths / 10**_BILLIONTHS, 2) for billionths in sums]


def _index_of(
    cube: Cube, indexes: dict[tuple[str, str, str], int], organization: str, dimension: str, value: str | None
) -> int | None:
    """Return the index of a value in `Cube.names`, where the value is appended if it is new."""
    if value is None:
        return None
    owner = "" if dimension in {"service", "model"} else organization
    key = (dimension, owner, value)
    if key not in indexes:
        indexes[key] = len(cube.names[dimension])
        cube.names[dimension].append([owner, value])
    return indexes[key]


def _encode(days: _Days) -> tuple[int, list[int], list[int] | None]:
    """Return the first day, the amounts and the offsets of a series, in the encoding that takes fewer numbers."""
    first, last = min(days), max(days)
    if _is_sparse(days):
        ordered = sorted(days)
        return first, [_billionths(days[number]) for number in ordered], [number - first for number in ordered]
    return first, [_billionths(days.get(number, Decimal(0))) for number in range(first, last + 1)], None


def _is_sparse(days: _Days) -> bool:
    """Return whether one amount and one offset per stored day take fewer numbers than one amount per calendar day."""
    return 2 * len(days) < max(days) - min(days) + 1


def _encoded_length(days: _Days) -> int:
    """Return how many numbers the shorter encoding of a series contains."""
    return min(2 * len(days), max(days) - min(days) + 1)


def _billionths(amount: Decimal) -> int:
    return int(_WIDE.to_integral_value(_WIDE.scaleb(amount, _BILLIONTHS))) if amount else 0


def _fold(spend: _Spend, dimensions: tuple[str, ...], max_numbers: int) -> int:
    """Add up the values with the least spend under `OTHERS` until the data fit on the page.

    Return the number of values that were added up.
    """
    if sum(map(_encoded_length, spend.values())) <= max_numbers:
        return 0
    shown = _largest_members(spend, dimensions, max_numbers)
    small = [values for values in spend if _has_member(values, dimensions) and _member(values, dimensions) not in shown]
    for values in small:
        _add(spend[_as_others(values, dimensions)], spend.pop(values))
    return len({_member(values, dimensions) for values in small})


def _largest_members(spend: _Spend, dimensions: tuple[str, ...], max_numbers: int) -> set[_Member]:
    """Return the values with the most spend that fit on the page, beside one series for all other values."""
    numbers: dict[_Member, int] = defaultdict(int)
    dollars: dict[_Member, Decimal] = defaultdict(Decimal)
    folded: _Spend = defaultdict(dict)
    for values, days in spend.items():
        if _has_member(values, dimensions):
            member = _member(values, dimensions)
            numbers[member] += _encoded_length(days)
            # Absolute amounts are added, because a credit would otherwise make a user with much spend look small.
            dollars[member] += sum(map(abs, days.values()))
            _add(folded[_as_others(values, dimensions)], days)
        else:
            _add(folded[values], days)
    remaining = max_numbers - sum(map(_encoded_length, folded.values()))
    shown = set()
    for member in sorted(numbers, key=lambda member: (-dollars[member], _sort_key(member))):
        remaining -= numbers[member]
        # A value with less spend might still fit. It is left out, because `OTHERS` would otherwise contain a value with
        # more spend than a value on the page.
        if remaining < 0:
            break
        shown.add(member)
    return shown


def _has_member(values: _Dimensions, dimensions: tuple[str, ...]) -> bool:
    """Return whether spend belongs to a user, project or model.

    Spend without any of them is never added to `OTHERS`.
    """
    return any(getattr(values, name) is not None for name in dimensions)


def _member(values: _Dimensions, dimensions: tuple[str, ...]) -> _Member:
    return (values.organization, *(getattr(values, name) for name in dimensions))


def _as_others(values: _Dimensions, dimensions: tuple[str, ...]) -> _Dimensions:
    return values._replace(**dict.fromkeys(dimensions, OTHERS))


def _add(sums: _Days, days: _Days) -> None:
    """Add daily amounts to `sums`, which is changed in place."""
    for number, amount in days.items():
        sums[number] = _WIDE.add(sums.get(number, Decimal(0)), amount)


def _sort_key(values: Iterable[str | None]) -> list[tuple[bool, str]]:
    """Return a sort key that sorts None before the empty string."""
    return [(value is not None, value or "") for value in values]
