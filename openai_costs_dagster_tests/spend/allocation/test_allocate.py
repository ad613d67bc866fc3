"""Tests of the allocation of costs to users: the shares of a cost row add up exactly to its amount."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.records import AllocatedCost, UserTotal
from openai_costs_dagster.spend.allocation.allocate import (
    BILLED,
    LARGEST_UNEXPLAINED_SPLIT,
    UNALLOCATED,
    USAGE,
    Allocation,
    DayUsage,
    OperationUsage,
    allocate,
)
from openai_costs_dagster.spend.line_items import classify
from openai_costs_dagster.spend.money import add_known

from ..rows import CACHED, INPUT, OUTPUT, cost, used
from ..strategies import amounts

LABELS = [INPUT, CACHED, OUTPUT, "batch | gpt-5-mini, input", "web search tool calls", "Promotional credit", "", None]
Key = tuple[str | None, str | None, str | None]


def shares(
    rows: list[CostRow],
    usage: list[OperationUsage],
    *,
    by_user: bool = False,
    by_key: bool = False,
    totals: list[UserTotal] | None = None,
    names: dict[str, str] | None = None,
) -> list[AllocatedCost]:
    return allocation(rows, usage, by_user=by_user, by_key=by_key, totals=totals, names=names).shares


def allocation(
    rows: list[CostRow],
    usage: list[OperationUsage],
    *,
    by_user: bool = False,
    by_key: bool = False,
    totals: list[UserTotal] | None = None,
    names: dict[str, str] | None = None,
) -> Allocation:
    items = {row.line_item: classify(row.line_item) for row in rows}
    return allocate(rows, items, DayUsage(usage, names), by_user=by_user, by_key=by_key, totals=totals)


def sums_by_user(found: list[AllocatedCost]) -> dict[tuple[str | None, str | None, str], Decimal | None]:
    """Return the sums of the shares in US dollars, by user, API key and allocation method."""
    result: dict[tuple[str | None, str | None, str], Decimal | None] = {}
    for share in found:
        key = (share.user_id, share.api_key_id, share.method)
        result[key] = add_known(result.get(key), share.amount)
    return result


# Properties of every allocation


_name = st.sampled_from([None, "", "a", "b"])
_user = st.sampled_from([None, "ada", "lin"])
_rows = st.lists(
    st.builds(
        cost,
        st.none() | amounts,
        st.sampled_from(LABELS),
        project=_name,
        user=_user,
        key=_name,
        quantity=st.none() | st.integers(0, 10**9),
    ),
    max_size=6,
)
_usage = st.lists(
    st.builds(
        used,
        _user,
        _name,
        project=_name,
        model=st.sampled_from([None, "gpt-5-mini", "gpt-unknown"]),
        operation=st.sampled_from(["completions", "web_search_calls"]),
        batch=st.booleans(),
        input_tokens=st.integers(0, 10**9),
        input_cached_tokens=st.integers(0, 10**9),
        output_tokens=st.integers(0, 10**9),
        num_requests=st.integers(0, 9),
    ),
    max_size=6,
)
_totals = st.none() | st.lists(
    st.builds(UserTotal, _user, st.sampled_from(LABELS), st.just("usd"), amounts), max_size=6
)


@given(_rows, _usage, st.booleans(), st.booleans(), _totals)
def test_shares_add_up_to_any_costs(
    rows: list[CostRow], usage: list[OperationUsage], by_user: bool, by_key: bool, totals: list[UserTotal] | None
) -> None:
    def sums(costs: list[CostRow] | list[AllocatedCost]) -> dict[Key, Decimal | None]:
        result: dict[Key, Decimal | None] = {}
        for cost_part in costs:
            key = (cost_part.project_id, cost_part.line_item, cost_part.currency)
            result[key] = add_known(result.get(key), cost_part.amount)
        return result

    assert sums(shares(rows, usage, by_user=by_user, by_key=by_key, totals=totals)) == sums(rows)


@given(_rows, _usage)
def test_allocation_is_independent_of_row_order(rows: list[CostRow], usage: list[OperationUsage]) -> None:
    found = shares(rows, usage)
    assert sorted(shares(rows[::-1], usage[::-1]), key=str) == sorted(found, key=str)


@given(_rows, _usage)
def test_amount_billed_to_a_user_stays_with_the_user(rows: list[CostRow], usage: list[OperationUsage]) -> None:
    billed: dict[str, Decimal | None] = defaultdict(lambda: None)
    for row in rows:
        if row.user_id is not None:
            billed[row.user_id] = add_known(billed[row.user_id], row.amount)
    found: dict[str, Decimal | None] = defaultdict(lambda: None)
    for share in shares(rows, usage, by_user=True):
        if share.method == BILLED and share.user_id is not None:
            found[share.user_id] = add_known(found[share.user_id], share.amount)
    assert found == billed


# The usage counter by which each line item is allocated


def test_input_follows_uncached_and_cached_input_follows_cached_tokens() -> None:
    usage = [
        used("ada", input_tokens=1000, input_cached_tokens=900, output_tokens=1),
        used("lin", input_tokens=1000, input_cached_tokens=700, output_tokens=3),
    ]
    found = shares([cost(40, INPUT), cost(16, CACHED), cost(8, OUTPUT)], usage)
    assert [(share.user_id, share.line_item, int(share.amount or 0)) for share in found] == [
        ("ada", INPUT, 10),
        ("lin", INPUT, 30),
        ("ada", CACHED, 9),
        ("lin", CACHED, 7),
        ("ada", OUTPUT, 2),
        ("lin", OUTPUT, 6),
    ]


def test_cache_writes_follow_cache_write_tokens() -> None:
    usage = [
        used("ada", input_tokens=100, input_cache_write_tokens=100),
        used("lin", input_tokens=100, input_cache_write_tokens=0),
    ]
    found = sums_by_user(shares([cost(5, "gpt-5-mini, input")], usage))
    assert found == {("lin", "k", USAGE): 5}
    assert sums_by_user(shares([cost(5, "gpt-5-mini, cache writes")], usage)) == {("ada", "k", USAGE): 5}


def test_tier_follows_usage_of_the_same_tier() -> None:
    usage = [
        used("ada", input_tokens=100),
        used("lin", input_tokens=100, batch=True),
        used("noor", input_tokens=100, tier="priority"),
    ]
    for label, user in (("", "ada"), ("batch | ", "lin"), ("priority | ", "noor")):
        assert sums_by_user(shares([cost(5, f"{label}gpt-5-mini, input")], usage)) == {(user, "k", USAGE): 5}


def test_billed_key_is_kept_and_missing_keys_come_from_usage() -> None:
    usage = [used("ada", "k1", input_tokens=100), used("lin", "k2", input_tokens=300)]
    assert sums_by_user(shares([cost(4, key="k1")], usage, by_key=True)) == {("ada", "k1", USAGE): 4}
    assert sums_by_user(shares([cost(4)], usage)) == {("ada", "k1", USAGE): 1, ("lin", "k2", USAGE): 3}


def test_cost_without_key_follows_usage_without_key() -> None:
    usage = [used("ada", None, input_tokens=100), used("lin", "k1", input_tokens=300)]
    rows = [cost(4, key=None), cost(9, key="k1")]
    assert sums_by_user(shares(rows, usage, by_key=True)) == {("ada", None, USAGE): 4, ("lin", "k1", USAGE): 9}


def test_amount_of_a_billed_user_is_split_by_keys() -> None:
    usage = [
        used("ada", "k1", input_tokens=100),
        used("ada", "k2", input_tokens=300),
        used("lin", "k3", input_tokens=9),
    ]
    found = sums_by_user(shares([cost(4, user="ada")], usage, by_user=True))
    assert found == {("ada", "k1", BILLED): 1, ("ada", "k2", BILLED): 3}


def test_row_without_user_is_not_allocated_to_billed_users() -> None:
    usage = [used("ada", input_tokens=100), used(None, "service", input_tokens=100)]
    found = sums_by_user(shares([cost(4, user="ada"), cost(6)], usage, by_user=True))
    assert found == {("ada", "k", BILLED): 4, (None, "service", USAGE): 6}


@pytest.mark.parametrize(
    ("label", "operation", "counter"),
    [
        ("text-embedding-3-small, input", "embeddings", "input_tokens"),
        ("gpt-image-1 image, output", "images", "images"),
        ("whisper", "audio_transcriptions", "seconds"),
        ("tts-1", "audio_speeches", "characters"),
        ("web search tool calls", "web_search_calls", "num_requests"),
        ("assistants api | file search", "file_search_calls", "num_requests"),
    ],
)
def test_service_follows_its_own_counter(label: str, operation: str, counter: str) -> None:
    usage = [
        used("ada", model=classify(label).model, operation=operation, counts={counter: 3}),
        used("lin", model=classify(label).model, operation=operation, counts={counter: 1}),
        used("noor", model=classify(label).model, operation="completions", counts={counter: 1}),
    ]
    assert sums_by_user(shares([cost(4, label)], usage)) == {("ada", "k", USAGE): 3, ("lin", "k", USAGE): 1}


def test_usage_is_found_under_the_billed_model_name() -> None:
    usage = [used("ada", model="gpt-image-2", output_tokens=5)]
    names = {"gpt-image-2": "gpt-image-2-2026-04-21"}
    found = sums_by_user(shares([cost(4, "gpt-image-2-2026-04-21 image, output")], usage, names=names))
    # All output tokens of this usage are text tokens, so no usage explains the image output.
    assert found == {(None, None, UNALLOCATED): 4}
    usage = [used("ada", model="gpt-image-2", output_tokens=5, output_image_tokens=5)]
    found = sums_by_user(shares([cost(4, "gpt-image-2-2026-04-21 image, output")], usage, names=names))
    assert found == {("ada", "k", USAGE): 4}


@pytest.mark.parametrize("word", ["priority", "Fast", "fast"])
@pytest.mark.parametrize("tier", ["priority", "fast"])
def test_priority_and_fast_are_the_same_tier(word: str, tier: str) -> None:
    usage = [used("ada", input_tokens=100), used("lin", input_tokens=1, tier=tier)]
    assert sums_by_user(shares([cost(5, f"{word} | gpt-5-mini, input")], usage)) == {("lin", "k", USAGE): 5}


@pytest.mark.parametrize("word", ["ultrafast", "reserved", "flex", "batch", "unknown tier"])
def test_cost_of_a_tier_without_usage_stays_unallocated(word: str) -> None:
    rows = [cost(5, f"{word} | gpt-5-mini, input"), cost(1)]
    found = sums_by_user(shares(rows, [used("ada", input_tokens=100)]))
    assert found == {(None, None, UNALLOCATED): 5, ("ada", "k", USAGE): 1}


def test_usage_of_an_endpoint_without_tiers_explains_batch_work() -> None:
    counted = used("ada", model="text-embedding-3-small", operation="embeddings", input_tokens=100)
    usage = [replace(counted, row=counted.row._replace(groups={}))]
    label = "text-embedding-3-small, input"
    assert sums_by_user(shares([cost(5, f"batch | {label}"), cost(1, label)], usage)) == {("ada", "k", USAGE): 6}


def test_unknown_tier_follows_usage_of_the_same_tier_name() -> None:
    usage = [used("ada", input_tokens=100), used("lin", input_tokens=1, tier="Turbo")]
    found = sums_by_user(shares([cost(5, "turbo | gpt-5-mini, input"), cost(1)], usage))
    assert found == {("lin", "k", USAGE): 5, ("ada", "k", USAGE): 1}


def test_cost_of_a_product_follows_usage_of_the_standard_tier() -> None:
    usage = [used("ada", input_tokens=100), used("lin", input_tokens=1, tier="flex")]
    assert sums_by_user(shares([cost(5, "evals | gpt-5-mini, input")], usage)) == {("ada", "k", USAGE): 5}


def test_standard_cost_follows_the_only_tier_with_usage() -> None:
    usage = [used("lin", input_tokens=1, tier="flex")]
    assert sums_by_user(shares([cost(5)], usage)) == {("lin", "k", USAGE): 5}
    assert sums_by_user(shares([cost(5), cost(3, "flex | gpt-5-mini, input")], usage)) == {
        (None, None, UNALLOCATED): 5,
        ("lin", "k", USAGE): 3,
    }


@pytest.mark.parametrize(
    ("label", "unit", "expected"),
    [
        ("gpt-image-1 image, output", "tokens", {"ada": 6, "lin": 2}),
        ("gpt-image-1 image, output", "1000_tokens", {"ada": 6, "lin": 2}),
        ("gpt-image-1 image, output", "images", {"ada": 2, "lin": 6}),
        ("gpt-image-1", "tokens", {"ada": 5, "lin": 3}),
        ("gpt-4o-transcribe audio, input", "tokens", {"ada": 1, "lin": 7}),
        ("gpt-4o-transcribe", "duration_minutes", {"ada": 4, "lin": 4}),
        ("gpt-4o-mini-tts audio, output", "tokens", {"ada": 7, "lin": 1}),
        ("gpt-4o-mini-tts", "characters", {"ada": 2, "lin": 6}),
        ("gpt-4o, images", "images", {"ada": 2, "lin": 6}),
    ],
)
def test_allocation_follows_the_billed_unit(label: str, unit: str, expected: dict[str, int]) -> None:
    model = classify(label).model
    tokens: dict[str | None, tuple[dict[str, int], dict[str, int]]] = {
        "gpt-image-1": (
            {"input_tokens": 4, "output_tokens": 6, "output_image_tokens": 6},
            {"input_tokens": 4, "output_tokens": 2, "output_image_tokens": 2},
        ),
        "gpt-4o-transcribe": ({"input_audio_tokens": 1}, {"input_audio_tokens": 7}),
        "gpt-4o-mini-tts": ({"output_audio_tokens": 7}, {"output_audio_tokens": 1}),
    }
    of_ada, of_lin = tokens.get(model, ({}, {}))
    usage = [used("ada", model=model, counts=of_ada), used("lin", model=model, counts=of_lin)]
    for operation, counter, ada, lin in (
        ("images", "images", 1, 3),
        ("audio_transcriptions", "seconds", 60, 60),
        ("audio_speeches", "characters", 10, 30),
    ):
        usage += [
            used("ada", model=model, operation=operation, counts={counter: ada}),
            used("lin", model=model, operation=operation, counts={counter: lin}),
        ]
    row = cost(8, label)._replace(quantity_unit=unit)
    assert {share.user_id: share.amount for share in shares([row], usage)} == expected


def test_modality_follows_its_own_tokens() -> None:
    usage = [
        used("ada", model="gpt-audio", input_tokens=100, input_audio_tokens=100),
        used("lin", model="gpt-audio", input_tokens=100, input_audio_tokens=0),
    ]
    assert sums_by_user(shares([cost(4, "gpt-audio audio, input")], usage)) == {("ada", "k", USAGE): 4}
    assert sums_by_user(shares([cost(4, "gpt-audio text, input")], usage)) == {("lin", "k", USAGE): 4}


# Costs without matching usage


@pytest.mark.parametrize(
    "row",
    [
        cost(4, "Promotional credit"),
        cost(4, None),
        cost(4, "gpt-unknown-model, input"),
        cost(4, project="another project"),
        cost(4, key="another key"),
        cost(None),
    ],
    ids=["a credit", "no label", "a model without usage", "another project", "another key", "no amount"],
)
def test_cost_without_usage_stays_unallocated(row: CostRow) -> None:
    (share,) = shares([row], [used("ada", input_tokens=100)], by_key=row.api_key_id is not None)
    assert (share.user_id, share.amount, share.method) == (None, row.amount, UNALLOCATED)


def test_billed_excess_over_usage_stays_unallocated() -> None:
    found = sums_by_user(shares([cost(10, quantity=1000)], [used("ada", input_tokens=400)]))
    assert found == {("ada", "k", USAGE): 4, (None, None, UNALLOCATED): 6}


def test_excess_beside_billed_users_stays_unallocated() -> None:
    rows = [cost(5, user="lin", key="k"), cost(10, quantity=1000)]
    found = sums_by_user(shares(rows, [used("ada", input_tokens=400)]))
    assert found[None, None, UNALLOCATED] == 6
    assert found["ada", "k", USAGE] == 4


def test_fractional_counts_are_used() -> None:
    row = cost(10, "whisper")._replace(quantity_unit="duration_seconds", quantity=Decimal("0.5"))
    counts: dict[str, int | Decimal] = {"seconds": Decimal("0.25")}
    usage = [used("ada", model="whisper", operation="audio_transcriptions", counts=counts)]
    found = sums_by_user(shares([row], usage))
    assert found == {("ada", "k", USAGE): 5, (None, None, UNALLOCATED): 5}


def test_usage_within_tolerance_explains_the_whole_amount() -> None:
    assert sums_by_user(shares([cost(10, quantity=1000)], [used("ada", input_tokens=985)])) == {("ada", "k", USAGE): 10}


# Totals by user, for organizations whose costs OpenAI does not group by user and project together


def test_shares_add_up_to_user_totals_and_rows() -> None:
    rows = [cost(10, project="p"), cost(30, project="q")]
    usage = [used("ada", project="p", input_tokens=50), used("lin", project="p", input_tokens=50)]
    usage += [used("lin", project="q", input_tokens=300)]
    totals = [UserTotal("ada", INPUT, "usd", Decimal(6)), UserTotal("lin", INPUT, "usd", Decimal(34))]
    found = shares(rows, usage, totals=totals)
    by_user: dict[str | None, Decimal] = defaultdict(Decimal)
    for share in found:
        assert share.amount is not None
        by_user[share.user_id] += share.amount
    assert by_user == {"ada": 6, "lin": 34}
    assert {share.method for share in found} == {BILLED}
    assert sum(share.amount or 0 for share in found if share.project_id == "p") == 10


def test_amount_missing_from_user_totals_has_no_user() -> None:
    found = sums_by_user(shares([cost(10)], [], totals=[UserTotal("ada", INPUT, "usd", Decimal(7))]))
    assert found == {("ada", None, BILLED): 7, (None, None, UNALLOCATED): 3}


def test_larger_user_totals_are_reduced_to_the_rows() -> None:
    totals = [UserTotal("ada", INPUT, "usd", Decimal(9)), UserTotal("lin", INPUT, "usd", Decimal(3))]
    found = sums_by_user(shares([cost(10)], [], totals=totals))
    assert found == {("ada", None, BILLED): Decimal("7.5"), ("lin", None, BILLED): Decimal("2.5")}


def test_costs_of_too_many_rows_without_usage_are_not_split() -> None:
    users, projects = 101, 100
    rows = [cost(users, project=f"p{number}", quantity=10) for number in range(projects)]
    totals = [UserTotal(f"user-{number}", INPUT, "usd", Decimal(projects)) for number in range(users)]
    assert len(rows) * len(totals) > LARGEST_UNEXPLAINED_SPLIT
    found = allocation(rows, [], totals=totals)
    assert found.unsplit_line_items == [INPUT]
    assert [(share.project_id, share.user_id, share.amount, share.method) for share in found.shares] == [
        (row.project_id, None, row.amount, UNALLOCATED) for row in rows
    ]
    assert allocation(rows[:-1], [], totals=totals).unsplit_line_items == []


def test_rows_with_usage_are_allocated_beside_unsplit_rows() -> None:
    rows = [cost(200, project=f"p{number}") for number in range(100)]
    totals = [UserTotal(f"user-{number}", INPUT, "usd", Decimal(100)) for number in range(200)]
    found = allocation(rows, [used("user-7", project="p7", input_tokens=10)], totals=totals)
    assert [share for share in found.shares if share.user_id] == [
        AllocatedCost("p7", "user-7", "k", INPUT, "usd", Decimal(200), USAGE)
    ]
    assert found.unsplit_line_items == [INPUT]


def test_costs_of_many_rows_with_usage_are_split() -> None:
    rows = [cost(1, project=f"p{number}") for number in range(120)]
    usage = [used(f"user-{number}", project=f"p{number}", input_tokens=10) for number in range(120)]
    totals = [UserTotal(f"user-{number}", INPUT, "usd", Decimal(1)) for number in range(120)]
    found = allocation(rows, usage, totals=totals)
    assert found.unsplit_line_items == []
    assert {(share.project_id, share.user_id) for share in found.shares} == {
        (f"p{number}", f"user-{number}") for number in range(120)
    }
