"""Tests of costs: equal totals for all groupings, and each day once for all page sizes."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openai_costs_dagster.simulator import Deviations, SimulatedOrganization, Simulator

from .http_requests import (
    DIMENSIONS,
    EVERY_GROUPING,
    NOW,
    TODAY,
    buckets,
    days_between,
    expected_sums,
    get,
    money,
    parsed,
    rows,
    seconds,
    spent,
    total,
    window,
)

FIRST, END = date(2026, 1, 1), date(2026, 1, 31)


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    organization = SimulatedOrganization(api_keys_from=None, users_with_projects_served=True)
    with Simulator([organization], clock=lambda: NOW) as running:
        yield running


@pytest.mark.parametrize("deviations", [Deviations(), Deviations.none()], ids=["deviations", "spec"])
def test_every_grouping_has_the_same_exact_total(
    organization: SimulatedOrganization, simulator: Simulator, deviations: Deviations
) -> None:
    simulator.deviations = deviations
    everything = total(expected_sums(organization, days_between(FIRST, END), ()).values())
    assert len(everything.as_tuple().digits) > 28, "no test of exactness: Python's default context would do"
    for groups in EVERY_GROUPING:
        found = rows(simulator, window(FIRST, END, group_by=groups, limit=31))
        assert total(money(row["amount"]["value"]) for row in found) == everything, groups


def test_rows_without_deviations_are_unique_by_grouping(simulator: Simulator) -> None:
    simulator.deviations = Deviations.none()
    for groups in EVERY_GROUPING:
        found = rows(simulator, window(FIRST, FIRST + timedelta(days=1), group_by=groups))
        keys = [tuple(row[name] for name in groups) for row in found]
        assert len(keys) == len(set(keys))
        assert all(row.get(name) is None for row in found for name in DIMENSIONS if name not in groups)


def test_quantities_appear_only_with_line_items(simulator: Simulator) -> None:
    found = rows(simulator, window(FIRST, END, group_by=["line_item"]))
    assert {row["quantity_unit"] for row in found} >= {"tokens", "gibibyte_hours", None}
    assert all((row["quantity"] is None) == (row["quantity_unit"] is None) for row in found)
    without_line_item = rows(simulator, window(FIRST, END, group_by=["project_id"]))
    assert {(row["quantity"], row["quantity_unit"]) for row in without_line_item} == {(None, None)}


@pytest.mark.parametrize("name", ["project_ids", "api_key_ids", "line_items", "project_ids[]", "line_items[]"])
def test_filter_returns_exactly_its_values(
    organization: SimulatedOrganization, simulator: Simulator, name: str
) -> None:
    dimension = name.removesuffix("[]").removesuffix("s")
    day = FIRST + timedelta(days=1)
    present = sorted({getattr(fact, dimension) or "" for fact in organization.facts(day)} - {""})
    filtered = present[:2]
    found = rows(simulator, window(day, day + timedelta(days=1), **{name: filtered}))
    expected = spent(fact for fact in organization.facts(day) if getattr(fact, dimension) in filtered)
    assert total(money(row["amount"]["value"]) for row in found) == expected != 0


@pytest.mark.parametrize("spelling", ["group_by", "group_by[]"])
def test_three_spellings_of_an_array_are_equivalent(simulator: Simulator, spelling: str) -> None:
    groups = ["project_id", "line_item"]
    by_comma = get(simulator, window(FIRST, END, group_by=",".join(groups))).text
    assert get(simulator, window(FIRST, END, **{spelling: groups})).text == by_comma


@settings(max_examples=40, deadline=None)
@given(
    first=st.integers(0, 365).map(lambda age: TODAY - timedelta(days=age)),
    length=st.integers(1, 400),
    limit=st.integers(10, 180),
    tail=st.booleans(),
)
def test_any_window_and_limit_return_each_day_once_in_order(
    shared: Simulator, first: date, length: int, limit: int, *, tail: bool
) -> None:
    shared.deviations = Deviations(tail_pages=tail)
    end = first + timedelta(days=length)
    starts = [bucket["start_time"] for bucket in buckets(shared, window(first, end, limit=limit))]
    assert starts == [seconds(day) for day in days_between(first, min(end, TODAY + timedelta(days=1)))]


@pytest.mark.parametrize("limit", range(1, 10))
def test_small_pages_return_each_day_once_in_order(simulator: Simulator, limit: int) -> None:
    starts = [bucket["start_time"] for bucket in buckets(simulator, window(FIRST, END, limit=limit))]
    assert starts == [seconds(day) for day in days_between(FIRST, END)]


def test_day_without_facts_is_an_empty_bucket(organization: SimulatedOrganization, simulator: Simulator) -> None:
    organization.clear_day(FIRST)
    organization.first_day = FIRST
    before = FIRST - timedelta(days=1)
    found = buckets(simulator, window(before, FIRST + timedelta(days=2)))
    assert [bool(bucket["results"]) for bucket in found] == [False, False, True]


def test_defaults_are_seven_days_until_today(simulator: Simulator) -> None:
    page = parsed(get(simulator, {"start_time": seconds(TODAY - timedelta(days=8))}))
    assert len(page["data"]) == 7
    rest = parsed(
        get(
            simulator,
            {"start_time": seconds(TODAY - timedelta(days=8)), "page": page["next_page"]},
        )
    )
    assert rest["data"][-1]["start_time"] == seconds(TODAY)


def test_future_days_have_no_bucket(simulator: Simulator) -> None:
    tomorrow = TODAY + timedelta(days=1)
    assert parsed(get(simulator, window(tomorrow, tomorrow + timedelta(days=3))))["data"] == []


def test_today_contains_the_elapsed_share_of_its_facts(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    query = window(TODAY, TODAY + timedelta(days=1), group_by=["line_item"])
    amounts = []
    for hour in (0, 6, 12, 18):
        simulator.clock = partial(NOW.replace, hour=hour, minute=0)
        amounts.append(total(money(row["amount"]["value"]) for row in rows(simulator, query)))
    whole = spent(organization.facts(TODAY))
    assert amounts[0] == 0
    assert amounts == sorted(amounts)
    assert abs(amounts[2] * 2 - whole) < whole.scaleb(-20)
