"""Spend packed for a page adds up to the same dollars by every dimension, whatever it is."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from operator import itemgetter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.report.cube import OTHERS, Cube, daily_dollars, pack
from openai_costs_dagster.warehouse.report_queries import Cell

FIRST = dt.date(2026, 1, 1)
PLENTY = 10_000
NOBODY = st.none()
CELLS = st.lists(
    st.builds(
        Cell,
        organization=st.sampled_from(["acme", "beta"]),
        usage_date=st.integers(0, 40).map(lambda number: FIRST + number * ONE_DAY),
        project_id=NOBODY | st.sampled_from(["proj_1", "proj_2", ""]),
        service=st.sampled_from(["Chat completions", "Images"]),
        model=NOBODY | st.sampled_from(["gpt-5", "</script>"]),
        user_id=NOBODY | st.sampled_from(["user-1", "user-2", "user-3"]),
        api_key_id=NOBODY | st.sampled_from(["key_1", "key_2"]),
        amount=st.decimals(-1000, 1000, places=9) | st.just(Decimal("0.02579200000000000000000000000000001")),
    ),
    max_size=60,
)


def cells_of(cube: Cube) -> list[Cell]:
    """What a page sees: the cells again, in whole billionths of a dollar."""
    found = []
    for *places, first, amounts, offsets in cube.series:
        named = [
            None if place is None else cube.names[dimension][place][1]
            for dimension, place in zip(cube.names, places, strict=True)
        ]
        organization, project, service, model, user, key = named
        for number, amount in zip(offsets or range(len(amounts)), amounts, strict=True):
            day = FIRST + (first + number) * ONE_DAY
            found.append(
                Cell(organization or "", day, project, service or "", model, user, key, Decimal(amount) / 10**9)
            )
    return found


def sums(cells: Iterable[Cell], by: Callable[[Cell], Any]) -> dict[Any, Decimal]:
    """To the nano-dollar, without what is zero."""
    found: dict[Any, Decimal] = defaultdict(Decimal)
    for cell in cells:
        found[by(cell)] += cell.amount
    return {key: amount for key, amount in found.items() if abs(amount) > Decimal("1e-6")}


def same(one: dict[Any, Decimal], other: dict[Any, Decimal]) -> bool:
    return set(one) == set(other) and all(abs(one[key] - other[key]) < Decimal("1e-6") for key in one)


@given(cells=CELLS)
def test_what_is_packed_adds_up_to_the_same_by_every_dimension(cells: list[Cell]) -> None:
    packed = cells_of(pack(cells, FIRST, PLENTY))
    for place in range(len(Cell._fields) - 1):
        assert same(sums(packed, itemgetter(place)), sums(cells, itemgetter(place)))
    assert same(sums(packed, lambda cell: cell[:-1]), sums(cells, lambda cell: cell[:-1]))


@given(cells=CELLS, chance=st.randoms())
def test_the_order_of_rows_changes_nothing(cells: list[Cell], chance: Any) -> None:
    shuffled = list(cells)
    chance.shuffle(shuffled)
    assert pack(shuffled, FIRST, PLENTY) == pack(cells, FIRST, PLENTY)


@given(cells=CELLS, most=st.integers(0, 200))
def test_folding_loses_no_dollar_and_takes_users_and_keys_before_projects_before_models(
    cells: list[Cell], most: int
) -> None:
    cube = pack(cells, FIRST, most)
    packed = cells_of(cube)
    names = {"users and keys": "user_id", "projects": "project_id", "models": "model"}
    for what, name in names.items():
        assert (what in cube.folded) == any(getattr(cell, name) == OTHERS for cell in packed)
    kept = [place for place, name in enumerate(Cell._fields[:-1]) if names_folded(cube).isdisjoint({name})]
    assert same(sums(packed, itemgetter(*kept)), sums(cells, itemgetter(*kept)))
    if "projects" in cube.folded:
        assert {cell.user_id for cell in packed} <= {None, OTHERS}
    if "models" in cube.folded:
        assert {cell.project_id for cell in packed} <= {None, OTHERS}


def names_folded(cube: Cube) -> set[str]:
    columns = {"users and keys": {"user_id", "api_key_id"}, "projects": {"project_id"}, "models": {"model"}}
    return {column for what in cube.folded for column in columns[what]}


@given(cells=CELLS, most=st.integers(0, 200))
def test_a_page_takes_no_more_numbers_than_it_may_while_anything_is_left_to_fold(cells: list[Cell], most: int) -> None:
    cube = pack(cells, FIRST, most)
    numbers = sum(len(one.amounts) + len(one.offsets or ()) for one in cube.series)
    everything_folded = pack(cells, FIRST, 0)
    least = sum(len(one.amounts) + len(one.offsets or ()) for one in everything_folded.series)
    assert numbers <= max(most, least)


def test_whoever_spends_most_is_shown_by_name_the_longest() -> None:
    spenders = [
        Cell(
            "acme", FIRST + day * ONE_DAY, "proj", "Chat completions", "gpt-5", f"user-{number}", "key", Decimal(number)
        )
        for number in range(1, 10)
        for day in range(10)
    ]
    cube = pack(spenders, FIRST, 60)
    shown = {name for _, name in cube.names["user"]}
    assert shown == {"user-5", "user-6", "user-7", "user-8", "user-9", OTHERS}
    assert cube.folded == {"users and keys": 4}


def test_small_projects_stand_together_where_users_alone_leave_too_much() -> None:
    cells = [
        Cell("acme", FIRST + day * ONE_DAY, f"proj-{number}", "Images", "gpt-5", "user", "key", Decimal(number))
        for number in range(1, 10)
        for day in range(10)
    ]
    cube = pack(cells, FIRST, 40)
    assert {name for _, name in cube.names["project"]} == {"proj-7", "proj-8", "proj-9", OTHERS}
    assert cube.folded == {"users and keys": 1, "projects": 6}


def test_a_series_of_few_days_is_kept_as_few_numbers() -> None:
    cells = [Cell("acme", FIRST + day * ONE_DAY, None, "Images", None, None, None, Decimal(day)) for day in (2, 30)]
    (series,) = pack(cells, FIRST, PLENTY).series
    assert (series.first, series.amounts, series.offsets) == (2, [2 * 10**9, 30 * 10**9], [0, 28])


def test_days_between_are_zero_and_days_outside_are_not_there() -> None:
    cells = [Cell("acme", FIRST + day * ONE_DAY, None, "Images", None, None, None, Decimal(day)) for day in (2, 5)]
    cube = pack(cells, FIRST, PLENTY)
    assert [(one.first, one.amounts) for one in cube.series] == [(2, [2 * 10**9, 0, 0, 5 * 10**9])]
    assert daily_dollars(cube, 7) == [0, 0, 2, 0, 0, 5, 0]


def test_one_label_of_two_organizations_is_one_model_and_two_projects() -> None:
    cells = [Cell(name, FIRST, "proj", "Images", "gpt-5", None, None, Decimal(1)) for name in ("acme", "beta")]
    cube = pack(cells, FIRST, PLENTY)
    assert cube.names["model"] == [["", "gpt-5"]]
    assert cube.names["project"] == [["acme", "proj"], ["beta", "proj"]]
