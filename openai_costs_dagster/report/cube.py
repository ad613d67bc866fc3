"""Spend by day and dimension in few bytes, so that a page can add it up by any filter without asking anyone.

Amounts become whole billionths of a dollar: exact in a browser's numbers up to nine million dollars, and near enough
beyond that every sum of a page is, to the cent, what SQL says.
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
"""Who stands for the users, keys, projects and models that are too many to show one by one."""

_BILLIONTHS = 9  # digits behind the point
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


class _Dimensions(NamedTuple):
    organization: str
    project: str | None
    service: str
    model: str | None
    user: str | None
    key: str | None


_Days = dict[int, Decimal]
_Spend = dict[_Dimensions, _Days]
_Member = tuple[str | None, ...]


class PackedSeries(NamedTuple):
    """A series: places in `Cube.names`, null for nothing, and its billionths.

    They are those of each day from the first one's number on; where most days have none, of the days `first + later`.
    """

    organization: int | None
    project: int | None
    service: int | None
    model: int | None
    user: int | None
    key: int | None
    first: int
    amounts: list[int]
    later: list[int] | None


@dataclass
class Cube:
    """All spend as a page keeps it."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    """By dimension: the organization and the id or label; of labels that all share the former is empty."""
    series: list[PackedSeries] = field(default_factory=list)
    folded: dict[str, int] = field(default_factory=dict)
    """How many stand together as others, by what they are."""


_FOLDS = {"users and keys": ("user", "key"), "projects": ("project",), "models": ("model",)}  # the first ones first


def pack(cells: Iterable[Cell], first_day: dt.date, most_numbers: int) -> Cube:
    """Adds cells up.

    Where that takes more than `most_numbers`, the users and keys of least spend stand together; where that is not
    enough, projects do as well, and then models.
    """
    spend: _Spend = defaultdict(dict)
    for organization, day, project, service, model, user, key, amount in cells:
        days, number = spend[_Dimensions(organization, project, service, model, user, key)], (day - first_day).days
        days[number] = _WIDE.add(days.get(number, Decimal(0)), amount)
    cube = Cube({name: [] for name in _Dimensions._fields})
    for what, dimensions in _FOLDS.items():
        if folded := _fold(spend, dimensions, most_numbers):
            cube.folded[what] = folded
    places: dict[tuple[str, str, str], int] = {}
    for its, days in sorted(spend.items(), key=lambda item: _order(item[0])):
        named = [_place(cube, places, its[0], *one) for one in zip(_Dimensions._fields, its, strict=True)]
        cube.series.append(PackedSeries._make([*named, *_written(days)]))
    return cube


def daily_dollars(cube: Cube, days: int) -> list[float]:
    """All spend by day from the first on, rounded to the cent: for pictures."""
    sums = [0] * days
    for *_, first, amounts, later in cube.series:
        for number, amount in zip(later or range(len(amounts)), amounts, strict=True):
            sums[first + number] += amount
    return [round(billionths / 10**_BILLIONTHS, 2) for billionths in sums]


def _place(
    cube: Cube, places: dict[tuple[str, str, str], int], organization: str, dimension: str, value: str | None
) -> int | None:
    if value is None:
        return None
    owner = "" if dimension in {"service", "model"} else organization
    key = (dimension, owner, value)
    if key not in places:
        places[key] = len(cube.names[dimension])
        cube.names[dimension].append([owner, value])
    return places[key]


def _written(days: _Days) -> tuple[int, list[int], list[int] | None]:
    """The first day, amounts, and which days they are of unless of each; in as few numbers as that takes."""
    first, last = min(days), max(days)
    if _is_sparse(days):
        ordered = sorted(days)
        return first, [_billionths(days[number]) for number in ordered], [number - first for number in ordered]
    return first, [_billionths(days.get(number, Decimal(0))) for number in range(first, last + 1)], None


def _is_sparse(days: _Days) -> bool:
    return 2 * len(days) < max(days) - min(days) + 1


def _numbers(days: _Days) -> int:
    """How many numbers a series takes."""
    return min(2 * len(days), max(days) - min(days) + 1)


def _billionths(amount: Decimal) -> int:
    return int(_WIDE.to_integral_value(_WIDE.scaleb(amount, _BILLIONTHS))) if amount else 0


def _fold(spend: _Spend, dimensions: tuple[str, ...], most: int) -> int:
    """Puts the smallest members of some dimensions together until few enough numbers are left; says how many were."""
    if sum(map(_numbers, spend.values())) <= most:
        return 0
    kept = _largest(spend, dimensions, most)
    small = [its for its in spend if _is_member(its, dimensions) and _member(its, dimensions) not in kept]
    for its in small:
        _add(spend[_together(its, dimensions)], spend.pop(its))
    return len({_member(its, dimensions) for its in small})


def _largest(spend: _Spend, dimensions: tuple[str, ...], most: int) -> set[_Member]:
    """The members of most spend that there is room for, beside all others as one."""
    numbers: dict[_Member, int] = defaultdict(int)
    dollars: dict[_Member, Decimal] = defaultdict(Decimal)
    folded: _Spend = defaultdict(dict)
    for its, days in spend.items():
        if _is_member(its, dimensions):
            member = _member(its, dimensions)
            numbers[member] += _numbers(days)
            dollars[member] += sum(map(abs, days.values()))
            _add(folded[_together(its, dimensions)], days)
        else:
            _add(folded[its], days)
    room = most - sum(map(_numbers, folded.values()))
    kept = set()
    for member in sorted(numbers, key=lambda one: (-dollars[one], _order(one))):
        room -= numbers[member]
        if room < 0:
            break
        kept.add(member)
    return kept


def _is_member(its: _Dimensions, dimensions: tuple[str, ...]) -> bool:
    """Nobody is no one to be folded away."""
    return any(getattr(its, name) is not None for name in dimensions)


def _member(its: _Dimensions, dimensions: tuple[str, ...]) -> _Member:
    return (its.organization, *(getattr(its, name) for name in dimensions))


def _together(its: _Dimensions, dimensions: tuple[str, ...]) -> _Dimensions:
    return its._replace(**dict.fromkeys(dimensions, OTHERS))


def _add(sums: _Days, days: _Days) -> None:
    for number, amount in days.items():
        sums[number] = _WIDE.add(sums.get(number, Decimal(0)), amount)


def _order(names: Iterable[str | None]) -> list[tuple[bool, str]]:
    """Nothing comes before the empty name."""
    return [(name is not None, name or "") for name in names]
