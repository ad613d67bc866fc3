"""What the usage endpoints count is stored whole, each by itself, and what the server lacks is skipped and said."""

from __future__ import annotations

import datetime as dt
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.simulator import USAGE_ENDPOINTS, Fault, FaultKind
from openai_costs_dagster.simulator.usage import is_counted_by
from openai_costs_dagster.sync.usage import UsageOutcome, UsageRequest, ingest_usage

from ..bench import Bench, days
from ..simulator.everything import everything
from ..sync_fixtures import MakeBench

DAY = dt.date(2026, 2, 4)
DAYS = days(DAY, 3)


def read(work: Bench, wanted: Iterable[dt.date] = DAYS, **settings: Any) -> UsageOutcome:
    organization = work.organization.model_copy(update=settings)
    return ingest_usage(UsageRequest(organization, work.database, list(wanted), now=work.clock))


def asked(work: Bench) -> Counter[str]:
    """How often each usage endpoint was asked."""
    return Counter(
        request.path.rpartition("/")[2] for request in work.simulator.requests if "/organization/usage/" in request.path
    )


def test_what_was_counted_is_stored_by_everyone_who_caused_it(bench: MakeBench) -> None:
    work = bench(everything())
    outcome = read(work)
    assert not outcome.failed
    assert sorted(outcome.stored) == DAYS
    truth: Counter[tuple[Any, ...]] = Counter()
    for day in DAYS:
        for fact in work.world.usage_facts(day):
            for operation in ("completions", "embeddings", "moderations", "decisions"):
                if is_counted_by(fact, operation) and fact.model:
                    truth[day, operation, fact.project_id, fact.user_id, fact.api_key_id] += int(fact.units or 0)
    found = work.query(
        "select usage_date, operation, project_id, user_id, api_key_id,"
        " sum(input_tokens + coalesce(output_tokens, 0)) from openai_costs.daily_usage"
        " where input_tokens is not null group by 1, 2, 3, 4, 5"
    )
    assert {tuple(key): int(tokens) for *key, tokens in found} == dict(truth)


def test_every_endpoint_has_its_own_groups_and_counters(bench: MakeBench) -> None:
    work = bench(everything())
    read(work, [DAY])
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
        query = f"select count({column}) from openai_costs.daily_usage where operation = %s"  # noqa: S608  # our own names
        assert work.query(query, operation)[0][0] > 0, (operation, column)


def test_a_year_takes_twelve_requests_an_endpoint(bench: MakeBench) -> None:
    work = bench(everything())
    assert not read(work, work.year).failed
    assert set(asked(work).values()) == {12}
    assert len(asked(work)) == 11


def test_an_endpoint_that_the_server_lacks_is_skipped_and_asked_for_again_a_week_later(bench: MakeBench) -> None:
    work = bench(everything())
    work.world.usage_endpoints = {*USAGE_ENDPOINTS} - {"embeddings"}
    outcome = read(work)
    assert set(outcome.skipped) == {"embeddings", "decisions"}
    assert not outcome.failed
    assert asked(work)["embeddings"] == 1
    read(work)
    assert asked(work)["embeddings"] == 1
    work.clock.now += 8 * ONE_DAY
    work.world.usage_endpoints = {*USAGE_ENDPOINTS}
    assert "embeddings" not in read(work).skipped
    (absent,) = work.query("select endpoint from openai_costs.missing_endpoints")
    assert absent[0] == f"{work.organization.base_url}/organization/usage/decisions"


def test_another_server_is_asked_anew_for_what_the_first_one_lacked(bench: MakeBench) -> None:
    work = bench(everything())
    work.world.usage_endpoints = {*USAGE_ENDPOINTS} - {"embeddings"}
    assert "embeddings" in read(work).skipped
    work.world.usage_endpoints = {*USAGE_ENDPOINTS}
    by_another_name = work.organization.base_url.replace("127.0.0.1", "localhost")
    assert by_another_name != work.organization.base_url
    assert "embeddings" not in read(work, base_url=by_another_name).skipped


def test_an_endpoint_that_counted_until_lately_and_is_missing_now_fails_its_days(bench: MakeBench) -> None:
    work = bench(everything())
    wanted = [work.clock.today - ONE_DAY]
    assert not read(work, wanted).failed
    kept = work.query("select count(*) from openai_costs.usage_rows")
    work.world.usage_endpoints = set()
    outcome = read(work, wanted)
    assert sorted(outcome.failed) == wanted
    assert outcome.permanent
    assert "it was served before" in outcome.failed[wanted[0]]
    assert "completions" not in outcome.skipped
    assert work.query("select count(*) from openai_costs.usage_rows") == kept


def test_usage_of_another_organization_is_never_stored(bench: MakeBench) -> None:
    work = bench(everything())
    outcome = read(work, organization_id="org-another")
    assert sorted(outcome.failed) == DAYS
    assert outcome.permanent
    assert "org-another was expected" in outcome.failed[DAY]
    assert asked(work).total() == 0
    assert work.query("select count(*) from openai_costs.usage_days") == [(0,)]


def test_a_server_without_usage_is_asked_three_times_and_then_not_for_a_week(bench: MakeBench) -> None:
    work = bench(everything())
    work.world.usage_endpoints = set()
    assert len(read(work, work.year).skipped) == 11
    assert asked(work).total() == 3
    assert not read(work).failed
    assert asked(work).total() == 3


def test_an_endpoint_that_fails_fails_its_days_and_keeps_nothing_from_the_others(bench: MakeBench) -> None:
    work = bench(everything())
    for _ in range(10):
        work.simulator.faults.queue(Fault(FaultKind.SERVER_ERROR), path="/v1/organization/usage/images")
    outcome = read(work)
    assert sorted(outcome.failed) == DAYS
    assert not outcome.permanent
    assert all("images: the server returned status" in reason for reason in outcome.failed.values())
    stored = {operation for (operation,) in work.query("select distinct operation from openai_costs.usage_days")}
    assert "images" not in stored
    assert {"completions", "embeddings", "web_search_calls"} <= stored
    assert not read(work).failed


def test_a_day_that_is_read_again_is_replaced(bench: MakeBench) -> None:
    work = bench(everything())
    read(work)
    work.world.restate_usage(DAY, lambda facts: tuple(replace(fact, user_id="user-late") for fact in facts))
    read(work, [DAY])
    users = work.query(
        "select distinct user_id from openai_costs.daily_usage where usage_date = %s and user_id is not null", DAY
    )
    assert users == [("user-late",)]
    assert work.query("select count(distinct usage_date) from openai_costs.daily_usage") == [(3,)]


def test_without_addresses_none_is_kept(bench: MakeBench) -> None:
    work = bench(everything(), store_emails=False)
    work.ingest(DAYS)
    read(work)
    bodies = [zlib.decompress(body) for (body,) in work.query("select body from openai_costs.raw_buckets")]
    assert bodies
    assert not any(b"@" in body for body in bodies)
    assert work.query("select count(*) from openai_costs.directory_names where email is not null") == [(0,)]
    assert work.stored() == work.expected(DAYS)


def test_counters_keep_every_digit(bench: MakeBench) -> None:
    work = bench(everything())
    read(work, [DAY])
    (tokens,) = work.query("select sum(input_tokens) from openai_costs.daily_usage")[0]
    assert tokens == tokens.to_integral_value()
    assert isinstance(tokens, Decimal)
