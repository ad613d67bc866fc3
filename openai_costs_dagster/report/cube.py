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

from openai_costs_dagster.warehouse.report_figures import Cell

OTHERS = "(others)"
"""Who stands for the users and keys that are too many to show one by one."""

_BILLIONTHS = 9  # digits behind the point
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)

_Dimensions = tuple[str, str | None, str, str | None, str | None, str | None]
_Days = dict[int, Decimal]
_Person = tuple[str, str | None, str | None]


class Packed(NamedTuple):
    """A series: places in `Cube.names`, null for nothing, and billionths of each day from the first one's number on."""

    organization: int | None
    project: int | None
    service: int | None
    model: int | None
    user: int | None
    key: int | None
    first: int
    amounts: list[int]


@dataclass
class Cube:
    """All spend as a page keeps it."""

    names: dict[str, list[list[str]]] = field(default_factory=dict)
    """By dimension: the organization and the id or label; of labels that all share the former is empty."""
    series: list[Packed] = field(default_factory=list)
    folded: int = 0
    """How many users and keys stand together as others."""


_DIMENSIONS = ("organization", "project", "service", "model", "user", "key")


def pack(cells: Iterable[Cell], first_day: dt.date, most_amounts: int) -> Cube:
    """Adds cells up. Where there are more than `most_amounts`, users and keys of the least spend stand together."""
    spend: dict[_Dimensions, _Days] = defaultdict(dict)
    for organization, day, project, service, model, user, key, amount in cells:
        days, number = spend[organization, project, service, model, user, key], (day - first_day).days
        days[number] = _WIDE.add(days.get(number, Decimal(0)), amount)
    folded = _fold(spend, most_amounts)
    cube = Cube({name: [] for name in _DIMENSIONS}, folded=folded)
    places: dict[tuple[str, str, str], int] = {}
    for dimensions, days in sorted(spend.items(), key=lambda item: _order(item[0])):
        named = [_place(cube, places, dimensions[0], *one) for one in zip(_DIMENSIONS, dimensions, strict=True)]
        cube.series.append(Packed._make([*named, min(days), _amounts(days)]))
    return cube


def daily_dollars(cube: Cube, days: int) -> list[float]:
    """All spend by day from the first on, rounded to the cent: for pictures."""
    sums = [0] * days
    for *_, first, amounts in cube.series:
        for number, amount in enumerate(amounts, first):
            sums[number] += amount
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


def _amounts(days: _Days) -> list[int]:
    return [_billionths(days[number]) if number in days else 0 for number in range(min(days), max(days) + 1)]


def _billionths(amount: Decimal) -> int:
    return int(_WIDE.to_integral_value(_WIDE.scaleb(amount, _BILLIONTHS))) if amount else 0


def _fold(spend: dict[_Dimensions, _Days], most: int) -> int:
    """Puts the smallest spenders together until few enough amounts are left; says how many were."""
    if sum(map(len, spend.values())) <= most:
        return 0
    kept = _largest(spend, most)
    small = [dimensions for dimensions in spend if _person(dimensions) not in kept]
    for dimensions in small:
        organization, project, service, model, _, _ = dimensions
        together = spend[organization, project, service, model, OTHERS, OTHERS]
        for number, amount in spend.pop(dimensions).items():
            together[number] = _WIDE.add(together.get(number, Decimal(0)), amount)
    return len({_person(dimensions) for dimensions in small})


def _largest(spend: dict[_Dimensions, _Days], most: int) -> set[_Person]:
    """The users and keys of most spend that there is room for, beside all others as one."""
    sizes: dict[_Person, int] = defaultdict(int)
    dollars: dict[_Person, Decimal] = defaultdict(Decimal)
    for dimensions, days in spend.items():
        sizes[_person(dimensions)] += len(days)
        dollars[_person(dimensions)] += sum(map(abs, days.values()))
    room = most - len({(*dimensions[:4], day) for dimensions, days in spend.items() for day in days})
    kept = {person for person in sizes if person[1:] == (None, None)}  # nobody is no one to be folded away
    for person in sorted(sizes, key=lambda one: (-dollars[one], _order(one))):
        room -= sizes[person]
        if room < 0:
            break
        kept.add(person)
    return kept


def _order(names: Iterable[str | None]) -> list[tuple[bool, str]]:
    """Nothing comes before the empty name."""
    return [(name is not None, name or "") for name in names]


def _person(dimensions: _Dimensions) -> _Person:
    return dimensions[0], dimensions[4], dimensions[5]
