"""Tests of usage: equal counts in costs and usage, and for all groupings and page sizes."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from openai_costs_dagster.simulator import Deviations, Fact, SimulatedOrganization, Simulator
from openai_costs_dagster.simulator.usage_endpoints import ENDPOINTS, is_counted_by
from openai_costs_dagster.usage_records import OPERATIONS, TOKEN_TOTALS

from .full_organization import ALL_ENDPOINTS, full_organization
from .http_requests import NOW, TODAY, USAGE, Parameters, buckets, days_between, get, rows, seconds, window

FIRST, END = date(2026, 2, 2), date(2026, 2, 12)
DAYS = days_between(FIRST, END)
COMPLETIONS = USAGE + "completions"
TOKENS_BY_KIND = {
    "input": "input_uncached_tokens",
    "cached input": "input_cached_tokens",
    "cache writes": "input_cache_write_tokens",
    "cache writes - 12hr": "input_cache_write_tokens",
    "output": "output_tokens",
}
COUNTERS = {
    "completions": ["input_tokens", "output_tokens", "num_model_requests"],
    "decisions": ["input_tokens", "output_tokens", "num_model_requests"],
    "embeddings": ["input_tokens", "num_model_requests"],
    "moderations": ["input_tokens", "num_model_requests"],
    "images": ["images", "num_model_requests"],
    "audio_speeches": ["characters", "num_model_requests"],
    "audio_transcriptions": ["seconds", "num_model_requests"],
    "vector_stores": ["usage_bytes"],
    "code_interpreter_sessions": ["num_sessions"],
    "file_search_calls": ["num_requests"],
    "web_search_calls": ["num_requests", "num_model_requests"],
}


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """Only read: the tests that change an organization make their own."""
    with Simulator([full_organization()], clock=lambda: NOW) as running:
        yield running


def days_and_rows(simulator: Simulator, query: Parameters, path: str) -> Iterator[tuple[date, Any]]:
    for day, bucket in zip(DAYS, buckets(simulator, query, path), strict=True):
        assert bucket["start_time"] == seconds(day)
        yield from ((day, row) for row in bucket["results"])


def label_parts(line_item: str) -> tuple[str, str]:
    """Return the model and the kind of a line item that is billed in tokens."""
    model, kind = line_item.rsplit(" | ", maxsplit=1)[-1].removesuffix(", long context").rsplit(", ", 1)
    return re.sub(" (text|audio|image)$", "", model), kind


def summed(found: Iterable[Any], names: Iterable[str]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for row in found:
        sums.update({name: row[name] for name in names})
    return sums


def test_billed_quantities_equal_counted_tokens(
    shared: Simulator,
) -> None:
    billed: Counter[tuple[object, ...]] = Counter()
    groups = ("project_id", "api_key_id")
    query = window(FIRST, END, group_by=[*groups, "line_item"], limit=31)
    for day, row in days_and_rows(shared, query, "/organization/costs"):
        if row["quantity_unit"] == "tokens":
            model, kind = label_parts(row["line_item"])
            key = (day, row["project_id"], row["api_key_id"], model, TOKENS_BY_KIND[kind])
            billed[key] += row["quantity"]
    counted: Counter[tuple[object, ...]] = Counter()
    for endpoint in ("completions", "decisions", "embeddings", "moderations"):
        for day, row in days_and_rows(
            shared, window(FIRST, END, group_by=[*groups, "model"], limit=31), USAGE + endpoint
        ):
            by = (day, row["project_id"], row["api_key_id"], row["model"])
            if "output_tokens" not in row:
                counted[*by, "input_uncached_tokens"] += row["input_tokens"]
                continue
            for counter in set(TOKENS_BY_KIND.values()):
                counted[*by, counter] += row[counter] or 0
    assert +counted == +billed
    assert len(+counted) > 300
    assert {key[-1] for key in +counted} == set(TOKENS_BY_KIND.values())


def test_token_counters_add_up_by_kind_and_modality(shared: Simulator) -> None:
    found = rows(shared, window(FIRST, END, group_by="model,api_key_id", limit=31), COMPLETIONS)
    for row in found:
        count = {name: number or 0 for name, number in row.items() if name.endswith("_tokens")}
        written = count["input_cache_write_30m_tokens"] + count["input_cache_write_12h_tokens"]
        assert count["input_cache_write_tokens"] == written
        assert count["input_tokens"] == (
            count["input_cached_tokens"] + count["input_cache_write_tokens"] + count["input_uncached_tokens"]
        )
        for counter, by_modality in [
            ("input_uncached_tokens", "input_{}_tokens"),
            ("input_cached_tokens", "input_cached_{}_tokens"),
            ("output_tokens", "output_{}_tokens"),
        ]:
            parts = [count[by_modality.format(modality)] for modality in ("text", "audio", "image")]
            assert count[counter] == sum(parts)
    for counter in ("input_audio_tokens", "input_cache_write_30m_tokens", "input_cache_write_12h_tokens"):
        assert any(row[counter] for row in found)


def test_token_totals_follow_the_definitions_of_the_product(shared: Simulator) -> None:
    assert {name: {*endpoint.counters, *endpoint.optional} for name, endpoint in ENDPOINTS.items()} == {
        operation.name: set(operation.counters) for operation in OPERATIONS
    }
    found = rows(shared, window(FIRST, END, group_by="model,api_key_id", limit=31), COMPLETIONS)
    for row in found:
        for total in TOKEN_TOTALS:
            assert (row[total.name] or 0) == sum(row[part] or 0 for part in total.parts), total.name


def test_other_counters_add_up_to_the_facts(shared: Simulator) -> None:
    facts = [fact for day in DAYS for fact in shared.organizations[0].facts(day)]

    def counted(endpoint: str, counter: str) -> int:
        return int(summed(rows(shared, window(FIRST, END, limit=31), USAGE + endpoint), [counter])[counter])

    def done(operation: str) -> list[Fact]:
        return [fact for fact in facts if fact.operation == operation]

    for endpoint, counter in [("audio_speeches", "characters"), ("audio_transcriptions", "seconds")]:
        assert counted(endpoint, counter) == sum(fact.quantity or 0 for fact in done(endpoint)) > 0
    # Costs of these endpoints have no quantity, so the number follows from amount and price.
    for endpoint, counter, price in [
        ("web_search_calls", "num_requests", "0.01"),
        ("file_search_calls", "num_requests", "0.0025"),
        ("code_interpreter_sessions", "num_sessions", "0.03"),
    ]:
        spent = sum(fact.amount or 0 for fact in done(endpoint))
        assert counted(endpoint, counter) * Decimal(price) == spent > 0
    requests = sum(fact.requests for fact in done("images"))
    assert counted("images", "images") == counted("images", "num_model_requests") == requests > 0
    (storage_unit,) = {fact.quantity_unit for fact in done("vector_stores")}
    assert storage_unit == "gibibyte_hours"
    stored_bytes = sum(int((fact.quantity or 0) * 2**30 // 24) for fact in done("vector_stores"))
    assert counted("vector_stores", "usage_bytes") == stored_bytes > 0


@pytest.mark.parametrize("endpoint", ALL_ENDPOINTS)
def test_requests_with_several_line_items_are_counted_once(shared: Simulator, endpoint: str) -> None:
    if "num_model_requests" not in COUNTERS[endpoint]:
        return
    facts = [fact for day in DAYS for fact in shared.organizations[0].facts(day) if is_counted_by(fact, endpoint)]
    found = rows(shared, window(FIRST, END, limit=31), USAGE + endpoint)
    assert sum(row["num_model_requests"] for row in found) == sum(fact.requests for fact in facts) > 0


@pytest.mark.parametrize("endpoint", ALL_ENDPOINTS)
def test_every_grouping_has_the_same_counts_and_only_its_dimensions(shared: Simulator, endpoint: str) -> None:
    dimensions = ENDPOINTS[endpoint].dimensions
    sizes = {0, 1, 2, len(dimensions)}
    query = partial(window, FIRST, FIRST + timedelta(days=2))
    expected = summed(rows(shared, query(), USAGE + endpoint), COUNTERS[endpoint])
    assert expected
    for groups in itertools.chain.from_iterable(
        itertools.combinations(dimensions, size) for size in range(len(dimensions) + 1) if size in sizes
    ):
        found = buckets(shared, query(group_by=groups), USAGE + endpoint)
        assert summed((row for bucket in found for row in bucket["results"]), COUNTERS[endpoint]) == expected
        for bucket in found:
            keys = [tuple(row[name] for name in groups) for row in bucket["results"]]
            assert len(keys) == len(set(keys)), "rows of the same group are one row"
            assert all(row[name] is None for row in bucket["results"] for name in dimensions if name not in groups)


@pytest.mark.parametrize("endpoint", ALL_ENDPOINTS)
def test_filter_returns_exactly_its_values(shared: Simulator, endpoint: str) -> None:
    query = partial(window, FIRST, FIRST + timedelta(days=1))
    for name, parameter in ENDPOINTS[endpoint].filters.items():
        by_value: dict[object, Counter[str]] = {}
        for row in rows(shared, query(group_by=name), USAGE + endpoint):
            by_value[row[name]] = summed([row], COUNTERS[endpoint])
        for value, expected in by_value.items():
            if value is not None:
                text = str(value).lower() if isinstance(value, bool) else value
                found = rows(shared, query(**{parameter: text}), USAGE + endpoint)
                assert summed(found, COUNTERS[endpoint]) == expected
        assert rows(shared, query(project_ids="proj_simulated_none"), USAGE + endpoint) == []


@pytest.mark.parametrize("name", ["group_by", "models", "project_ids"])
def test_three_spellings_of_an_array_are_equivalent(shared: Simulator, name: str) -> None:
    values = {
        "group_by": ["project_id", "model"],
        "models": ["gpt-5.6-sol", "gpt-5-mini-2025-08-07"],
        "project_ids": ["proj_simulated_research", "proj_simulated_nightly"],
    }[name]
    texts = {
        get(shared, window(FIRST, END, **query), path=COMPLETIONS).text
        for query in ({name: values}, {f"{name}[]": values}, {name: ",".join(values)})
    }
    (text,) = texts
    assert text != get(shared, window(FIRST, END), path=COMPLETIONS).text


def test_batch_and_priority_follow_from_the_line_item(shared: Simulator) -> None:
    by_tier: Counter[tuple[object, object]] = Counter()
    for row in rows(shared, window(FIRST, END, group_by="batch,service_tier", limit=31), COMPLETIONS):
        by_tier[row["batch"], row["service_tier"]] += row["output_tokens"]
    expected: Counter[tuple[object, object]] = Counter()
    for fact in (fact for day in DAYS for fact in shared.organizations[0].facts(day)):
        label = fact.line_item or ""
        if is_counted_by(fact, "completions") and ", output" in label:
            tier = "priority" if label.startswith("priority | ") else "default"
            expected[label.startswith("batch | "), tier] += int(fact.quantity or 0)
    assert by_tier == expected
    assert set(by_tier) == {(True, "default"), (False, "priority"), (False, "default")}


def test_keys_of_service_accounts_have_no_user(shared: Simulator) -> None:
    owners = {key.id: key.user and key.user.id for key in shared.organizations[0].api_keys}
    found = rows(shared, window(FIRST, END, group_by="user_id,api_key_id"), COMPLETIONS)
    assert {row["api_key_id"]: row["user_id"] for row in found}.items() <= owners.items()
    assert None in {row["user_id"] for row in found}
    assert len({row["user_id"] for row in found}) > 2


def test_unused_endpoints_have_no_rows(organization: SimulatedOrganization, simulator: Simulator) -> None:
    unused = {"", None, "Promotional credit"}
    day = next(day for day in days_between(date(2025, 8, 1), TODAY) if unused & _labels(organization, day))
    organization.restate(day, lambda facts: tuple(fact for fact in facts if fact.line_item in unused))
    for endpoint in organization.usage_endpoints:
        (bucket,) = buckets(simulator, window(day, day + timedelta(days=1)), USAGE + endpoint)
        assert bucket["results"] == []


def _labels(organization: SimulatedOrganization, day: date) -> set[str | None]:
    return {fact.line_item for fact in organization.facts(day)}


@pytest.mark.parametrize("endpoint", ALL_ENDPOINTS)
def test_year_has_twelve_pages_with_each_day_once(shared: Simulator, endpoint: str) -> None:
    year = days_between(TODAY - timedelta(days=365), TODAY + timedelta(days=1))
    before = len(shared.requests)
    found = buckets(shared, window(year[0], TODAY + timedelta(days=1), limit=31), USAGE + endpoint)
    assert [bucket["start_time"] for bucket in found] == [seconds(day) for day in year]
    assert len(shared.requests) - before == 12


def test_request_without_limit_gets_seven_days(shared: Simulator) -> None:
    assert len(get(shared, window(FIRST, END), path=COMPLETIONS).json()["data"]) == 7


def test_usage_of_today_is_the_elapsed_share(organization: SimulatedOrganization) -> None:
    query = window(TODAY, TODAY + timedelta(days=1))
    with Simulator([organization], clock=lambda: NOW) as simulator:
        numbers = []
        for hour in (0, 6, 12, 18):
            simulator.clock = partial(NOW.replace, hour=hour, minute=0)
            found = rows(simulator, query, COMPLETIONS)
            numbers.append(sum(row["input_tokens"] for row in found))
            assert bool(found) == (hour > 0)
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0


def test_usage_of_the_newest_days_may_be_delayed(organization: SimulatedOrganization, simulator: Simulator) -> None:
    def days_with_usage() -> list[bool]:
        query = window(TODAY - timedelta(days=3), TODAY + timedelta(days=2))
        assert all(bucket["results"] for bucket in buckets(simulator, query)[:4])
        return [bool(bucket["results"]) for bucket in buckets(simulator, query, COMPLETIONS)]

    assert days_with_usage() == [True, True, True, True]
    organization.usage_delay_days = 2
    assert days_with_usage() == [True, True, False, False]
    simulator.clock = lambda: NOW + timedelta(days=1)
    assert days_with_usage() == [True, True, True, False, False]
    organization.usage_delay_days = 0
    assert days_with_usage() == [True, True, True, True, True]


def test_usage_can_be_changed_without_costs(organization: SimulatedOrganization, simulator: Simulator) -> None:
    query = window(FIRST, FIRST + timedelta(days=1), group_by="user_id")
    costs, before = get(simulator, query).text, rows(simulator, query, COMPLETIONS)
    assert {row["user_id"] for row in before} == {None, "user-simulated-vera"}
    organization.restate_usage(FIRST, lambda facts: tuple(replace(fact, user_id=None) for fact in facts))
    (without_user,) = rows(simulator, query, COMPLETIONS)
    assert without_user["user_id"] is None
    assert without_user["input_tokens"] == sum(row["input_tokens"] for row in before)
    organization.restate_usage(FIRST, lambda _: ())
    assert rows(simulator, query, COMPLETIONS) == []
    assert get(simulator, query).text == costs


def test_changed_costs_change_usage(organization: SimulatedOrganization, simulator: Simulator) -> None:
    query = window(FIRST, FIRST + timedelta(days=1))
    (before,) = rows(simulator, query, COMPLETIONS)
    organization.plant_anomaly(FIRST, 3)
    (after,) = rows(simulator, query, COMPLETIONS)
    assert after["input_tokens"] == 3 * before["input_tokens"]
    assert after["num_model_requests"] == 3 * before["num_model_requests"]


def test_scaled_counters_are_whole_and_equal_in_every_grouping(
    organization: SimulatedOrganization, simulator: Simulator
) -> None:
    organization.plant_anomaly(FIRST, Decimal("1.00037"))
    query = partial(window, FIRST, FIRST + timedelta(days=1))
    (whole,) = rows(simulator, query(), COMPLETIONS)
    parts = rows(simulator, query(group_by="project_id,api_key_id,model"), COMPLETIONS)
    assert len(parts) > 1
    for counter in ("input_tokens", "output_tokens"):
        assert whole[counter] == sum(row[counter] for row in parts)
        assert isinstance(whole[counter], int)


@pytest.mark.parametrize("deviations", [Deviations(), Deviations.none()], ids=["deviations", "spec"])
def test_undocumented_fields_of_the_sdk_appear_on_request(deviations: Deviations) -> None:
    with Simulator([full_organization()], deviations, clock=lambda: NOW) as simulator:
        query = window(FIRST, END, group_by="api_source")
        sources = {row["api_source"] for row in rows(simulator, query, COMPLETIONS)}
        default = rows(simulator, window(FIRST, END), COMPLETIONS)[0]
    assert sources == {"agents_api", "unlabeled"}
    assert ("api_source" in default) == ("input_cache_write_12h_tokens" in default) == deviations.undocumented_fields


def test_day_with_zero_quantities_has_no_usage_rows(organization: SimulatedOrganization, simulator: Simulator) -> None:
    organization.plant_anomaly(FIRST, 0)
    query = window(FIRST, FIRST + timedelta(days=1))
    assert rows(simulator, query)
    assert rows(simulator, query, COMPLETIONS) == []
