"""Tests of usage synchronization: all endpoints are stored, and endpoints that the server lacks are skipped."""

from __future__ import annotations

import datetime as dt
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.simulator import USAGE_ENDPOINTS, Fault, FaultKind
from openai_costs_dagster.simulator.usage_endpoints import is_counted_by
from openai_costs_dagster.sync.usage import UsageOutcome, UsageRequest, ingest_usage

from ..simulator.full_organization import full_organization
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days

DAY = dt.date(2026, 2, 4)
DAYS = days(DAY, 3)


def sync_usage(setup: SyncSetup, requested_days: Iterable[dt.date] = DAYS, **settings: Any) -> UsageOutcome:
    organization = setup.organization.model_copy(update=settings)
    return ingest_usage(UsageRequest(organization, setup.database, list(requested_days), now=setup.clock))


def requests_per_endpoint(setup: SyncSetup) -> Counter[str]:
    """Return the number of requests of each usage endpoint."""
    return Counter(
        request.path.rpartition("/")[2]
        for request in setup.simulator.requests
        if "/organization/usage/" in request.path
    )


def test_usage_is_stored_by_user_key_and_model(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    outcome = sync_usage(setup)
    assert not outcome.failed
    assert sorted(outcome.stored) == DAYS
    expected: Counter[tuple[Any, ...]] = Counter()
    for day in DAYS:
        for fact in setup.simulated.usage_facts(day):
            for operation in ("completions", "embeddings", "moderations", "decisions"):
                if is_counted_by(fact, operation) and fact.model:
                    expected[day, operation, fact.project_id, fact.user_id, fact.api_key_id] += int(fact.units or 0)
    found = setup.query(
        "select usage_date, operation, project_id, user_id, api_key_id,"
        " sum(input_tokens + coalesce(output_tokens, 0)) from openai_costs.daily_usage"
        " where input_tokens is not null group by 1, 2, 3, 4, 5"
    )
    assert {tuple(key): int(tokens) for *key, tokens in found} == dict(expected)


def test_every_endpoint_is_stored_with_its_dimensions_and_counters(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    sync_usage(setup, [DAY])
    for operation, column in (
        ("images", "size"),
        ("images", "images"),
        ("audio_speeches", "characters"),
        ("audio_transcriptions", "seconds"),
        ("vector_stores", "usage_bytes"),
        ("code_interpreter_sessions", "num_sessions"),
        ("file_search_calls", "vector_store_id"),
        ("web_search_calls", "context_level"),
        ("completions", "batch"),
        ("completions", "service_tier"),
        ("completions", "input_cached_tokens"),
    ):
        query = f"select count({column}) from openai_costs.daily_usage where operation = %s"  # noqa: S608  # names from the test
        assert setup.query(query, operation)[0][0] > 0, (operation, column)


def test_year_takes_twelve_requests_per_endpoint(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    assert not sync_usage(setup, setup.year).failed
    assert set(requests_per_endpoint(setup).values()) == {12}
    assert len(requests_per_endpoint(setup)) == 11


def test_missing_endpoint_is_skipped_and_requested_again_after_a_week(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    setup.simulated.usage_endpoints = {*USAGE_ENDPOINTS} - {"embeddings"}
    outcome = sync_usage(setup)
    assert set(outcome.skipped) == {"embeddings", "decisions"}
    assert not outcome.failed
    assert requests_per_endpoint(setup)["embeddings"] == 1
    sync_usage(setup)
    assert requests_per_endpoint(setup)["embeddings"] == 1
    setup.clock.now += 8 * ONE_DAY
    setup.simulated.usage_endpoints = {*USAGE_ENDPOINTS}
    assert "embeddings" not in sync_usage(setup).skipped
    (missing,) = setup.query("select endpoint from openai_costs.missing_endpoints")
    assert missing[0] == f"{setup.organization.base_url}/organization/usage/decisions"


@pytest.mark.parametrize(("age", "is_recommended"), [(30, True), (365, False)])
def test_new_endpoint_recommends_a_backfill_only_if_older_days_are_served(
    make_sync_setup: MakeSyncSetup, caplog: pytest.LogCaptureFixture, age: int, is_recommended: bool
) -> None:
    setup = make_sync_setup(full_organization())
    setup.simulated.usage_endpoints = {*USAGE_ENDPOINTS} - {"embeddings"}
    sync_usage(setup)
    setup.clock.now += 8 * ONE_DAY
    setup.simulated.usage_endpoints = {*USAGE_ENDPOINTS}
    sync_usage(setup, [setup.clock.today - age * ONE_DAY])
    missing = setup.query("select endpoint from openai_costs.missing_endpoints")
    assert not any("embeddings" in endpoint for (endpoint,) in missing)
    assert ("usage of embeddings is served now; run openai-costs backfill" in caplog.text) == is_recommended


def test_missing_endpoint_is_requested_at_once_from_another_server(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    setup.simulated.usage_endpoints = {*USAGE_ENDPOINTS} - {"embeddings"}
    assert "embeddings" in sync_usage(setup).skipped
    setup.simulated.usage_endpoints = {*USAGE_ENDPOINTS}
    other_address = setup.organization.base_url.replace("127.0.0.1", "localhost")
    assert other_address != setup.organization.base_url
    assert "embeddings" not in sync_usage(setup, base_url=other_address).skipped


def test_recently_served_endpoint_that_is_missing_fails_its_days(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    requested_days = [setup.clock.today - ONE_DAY]
    assert not sync_usage(setup, requested_days).failed
    rows_before = setup.query("select count(*) from openai_costs.usage_rows")
    setup.simulated.usage_endpoints = set()
    outcome = sync_usage(setup, requested_days)
    assert sorted(outcome.failed) == requested_days
    assert outcome.permanent
    assert "served this endpoint in the last 35 days" in outcome.failed[requested_days[0]]
    assert "completions" not in outcome.skipped
    assert setup.query("select count(*) from openai_costs.usage_rows") == rows_before


def test_usage_of_another_organization_is_not_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    outcome = sync_usage(setup, organization_id="org-another")
    assert sorted(outcome.failed) == DAYS
    assert outcome.permanent
    assert "org-another was expected" in outcome.failed[DAY]
    assert requests_per_endpoint(setup).total() == 0
    assert setup.query("select count(*) from openai_costs.usage_days") == [(0,)]


def test_server_without_usage_endpoints_is_requested_three_times_a_week(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    setup.simulated.usage_endpoints = set()
    assert len(sync_usage(setup, setup.year).skipped) == 11
    assert requests_per_endpoint(setup).total() == 3
    assert not sync_usage(setup).failed
    assert requests_per_endpoint(setup).total() == 3


def test_failing_endpoint_fails_its_days_and_the_others_are_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    for _ in range(10):
        setup.simulator.faults.queue(Fault(FaultKind.SERVER_ERROR), path="/v1/organization/usage/images")
    outcome = sync_usage(setup)
    assert sorted(outcome.failed) == DAYS
    assert not outcome.permanent
    assert all("images: the server returned status" in reason for reason in outcome.failed.values())
    stored = {operation for (operation,) in setup.query("select distinct operation from openai_costs.usage_days")}
    assert "images" not in stored
    assert {"completions", "embeddings", "web_search_calls"} <= stored
    assert not sync_usage(setup).failed


def test_stored_day_is_replaced(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    sync_usage(setup)
    setup.simulated.restate_usage(DAY, lambda facts: tuple(replace(fact, user_id="user-late") for fact in facts))
    sync_usage(setup, [DAY])
    users = setup.query(
        "select distinct user_id from openai_costs.daily_usage where usage_date = %s and user_id is not null", DAY
    )
    assert users == [("user-late",)]
    assert setup.query("select count(distinct usage_date) from openai_costs.daily_usage") == [(3,)]


def test_addresses_in_raw_responses_are_removed_if_configured_so(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization(), store_emails=False)
    setup.ingest(DAYS)
    sync_usage(setup)
    bodies = [zlib.decompress(body) for (body,) in setup.query("select body from openai_costs.raw_buckets")]
    assert bodies
    assert not any(b"@" in body for body in bodies)
    assert setup.query("select count(*) from openai_costs.directory_names where email is not null") == [(0,)]
    assert setup.stored() == setup.expected(DAYS)


def test_counters_are_stored_with_every_digit(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    sync_usage(setup, [DAY])
    (tokens,) = setup.query("select sum(input_tokens) from openai_costs.daily_usage")[0]
    assert tokens == tokens.to_integral_value()
    assert isinstance(tokens, Decimal)
