"""Tests of the data cube of the report: packing preserves sums and respects the size limit."""

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
NO_LIMIT = 10_000
NO_VALUE = st.none()
CELLS = st.lists(
    st.builds(
        Cell,
        organization=st.sampled_from(["acme", "beta"]),
        usage_date=st.integers(0, 40).map(lambda number: FIRST + number * ONE_DAY),
        project_id=NO_VALUE | st.sampled_from(["proj_1", "proj_2", ""]),
        service=st.sampled_from(["Chat completions", "Images"]),
        model=NO_VALUE | st.sampled_from(["gpt-5", "</script>"]),
        user_id=NO_VALUE | st.sampled_from(["user-1", "user-2", "user-3"]),
        api_key_id=NO_VALUE | st.sampled_from(["key_1", "key_2"]),
        amount=st.decimals(-1000, 1000, places=9) | st.just(Decimal("0.02579200000000000000000000000000001")),
    ),
    max_size=60,
)


def cells_of(cube: Cube) -> list[Cell]:
    """Decode the cells of a cube as the script of the page does. Amounts are rounded to billionths of a US dollar."""
    found = []
    for *indexes, first, amounts, offsets in cube.series:
        named = [
            None if index is None else cube.names[dimension][index][1]
            for dimension, index in zip(cube.names, indexes, strict=True)
        ]
        organization, project, service, model, user, key = named
        for number, amount in zip(offsets or range(len(amounts)), amounts, strict=True):
            day = FIRST + (first + number) * ONE_DAY
            found.append(
                Cell(organization or "", day, project, service or "", model, user, key, Decimal(amount) / 10**9)
            )
    return found


def sums(cells: Iterable[Cell], by: Callable[[Cell], Any]) -> dict[Any, Decimal]:
    """Return the sum of each group of cells with equal `by(cell)`. Sums up to a millionth of a dollar are omitted."""
    found: dict[Any, Decimal] = defaultdict(Decimal)
    for cell in cells:
        found[by(cell)] += cell.amount
    return {key: amount for key, amount in found.items() if abs(amount) > Decimal("1e-6")}


def nearly_equal(left: dict[Any, Decimal], right: dict[Any, Decimal]) -> bool:
    return set(left) == set(right) and all(abs(left[key] - right[key]) < Decimal("1e-6") for key in left)


@given(cells=CELLS)
def test_packing_preserves_the_sums_of_every_dimension(cells: list[Cell]) -> None:
    packed = cells_of(pack(cells, FIRST, NO_LIMIT))
    for position in range(len(Cell._fields) - 1):
        assert nearly_equal(sums(packed, itemgetter(position)), sums(cells, itemgetter(position)))
    assert nearly_equal(sums(packed, lambda cell: cell[:-1]), sums(cells, lambda cell: cell[:-1]))


@given(cells=CELLS, random=st.randoms())
def test_order_of_rows_does_not_change_the_cube(cells: list[Cell], random: Any) -> None:
    shuffled = list(cells)
    random.shuffle(shuffled)
    assert pack(shuffled, FIRST, NO_LIMIT) == pack(cells, FIRST, NO_LIMIT)


@given(cells=CELLS, max_numbers=st.integers(0, 200))
def test_folding_preserves_sums_and_folds_users_then_projects_then_models(cells: list[Cell], max_numbers: int) -> None:
    cube = pack(cells, FIRST, max_numbers)
    packed = cells_of(cube)
    names = {"users and keys": "user_id", "projects": "project_id", "models": "model"}
    for group, name in names.items():
        assert (group in cube.folded) == any(getattr(cell, name) == OTHERS for cell in packed)
    unfolded = [position for position, name in enumerate(Cell._fields[:-1]) if folded_columns(cube).isdisjoint({name})]
    assert nearly_equal(sums(packed, itemgetter(*unfolded)), sums(cells, itemgetter(*unfolded)))
    if "projects" in cube.folded:
        assert {cell.user_id for cell in packed} <= {None, OTHERS}
    if "models" in cube.folded:
        assert {cell.project_id for cell in packed} <= {None, OTHERS}


def folded_columns(cube: Cube) -> set[str]:
    """Return the fields of `Cell` in which the cube replaces values by `OTHERS`."""
    columns = {"users and keys": {"user_id", "api_key_id"}, "projects": {"project_id"}, "models": {"model"}}
    return {column for group in cube.folded for column in columns[group]}


@given(cells=CELLS, max_numbers=st.integers(0, 200))
def test_cube_respects_the_limit_until_everything_is_folded(cells: list[Cell], max_numbers: int) -> None:
    cube = pack(cells, FIRST, max_numbers)
    numbers = sum(len(series.amounts) + len(series.offsets or ()) for series in cube.series)
    everything_folded = pack(cells, FIRST, 0)
    smallest = sum(len(series.amounts) + len(series.offsets or ()) for series in everything_folded.series)
    assert numbers <= max(max_numbers, smallest)


def test_users_with_the_least_spend_are_folded_first() -> None:
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


def test_small_projects_are_folded_if_folding_users_is_not_enough() -> None:
    cells = [
        Cell("acme", FIRST + day * ONE_DAY, f"proj-{number}", "Images", "gpt-5", "user", "key", Decimal(number))
        for number in range(1, 10)
        for day in range(10)
    ]
    cube = pack(cells, FIRST, 40)
    assert {name for _, name in cube.names["project"]} == {"proj-7", "proj-8", "proj-9", OTHERS}
    assert cube.folded == {"users and keys": 1, "projects": 6}


def test_sparse_series_is_encoded_with_offsets() -> None:
    cells = [Cell("acme", FIRST + day * ONE_DAY, None, "Images", None, None, None, Decimal(day)) for day in (2, 30)]
    (series,) = pack(cells, FIRST, NO_LIMIT).series
    assert (series.first, series.amounts, series.offsets) == (2, [2 * 10**9, 30 * 10**9], [0, 28])


def test_dense_series_has_zeros_between_its_first_and_last_day() -> None:
    cells = [Cell("acme", FIRST + day * ONE_DAY, None, "Images", None, None, None, Decimal(day)) for day in (2, 5)]
    cube = pack(cells, FIRST, NO_LIMIT)
    assert [(series.first, series.amounts) for series in cube.series] == [(2, [2 * 10**9, 0, 0, 5 * 10**9])]
    assert daily_dollars(cube, 7) == [0, 0, 2, 0, 0, 5, 0]


def test_organizations_share_models_but_not_projects() -> None:
    cells = [Cell(name, FIRST, "proj", "Images", "gpt-5", None, None, Decimal(1)) for name in ("acme", "beta")]
    cube = pack(cells, FIRST, NO_LIMIT)
    assert cube.names["model"] == [["", "gpt-5"]]
    assert cube.names["project"] == [["acme", "proj"], ["beta", "proj"]]
