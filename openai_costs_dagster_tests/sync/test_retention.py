"""Retention of raw responses: they are deleted after the configured time, while rows and revisions stay correct."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg
import pytest

from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.orchestration.asset_keys import costs_key
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.sync.usage import UsageRequest, ingest_usage

from ..bench import Bench, days
from ..conftest import NOW, Configure
from ..sync_fixtures import MakeBench

DAY = dt.date(2026, 2, 3)
DAYS = days(DAY, 5)
LATER = dt.datetime(2026, 3, 7, 12, tzinfo=dt.UTC)  # thirty days earlier is the middle of DAYS
WITHIN_RETENTION = days(dt.date(2026, 2, 5), 3)


def days_with_raw_response(work: Bench) -> list[dt.date]:
    """Return the days whose raw response is stored."""
    found = work.query("select distinct usage_date from openai_costs.raw_buckets order by 1")
    return [day for (day,) in found]


def revisions(work: Bench) -> list[tuple[Any, ...]]:
    return work.query("select usage_date, old_amount, new_amount from openai_costs.cost_revisions order by 1")


def test_raw_responses_are_stored_forever_by_default(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.clock.now = NOW + 300 * ONE_DAY
    work.ingest([work.clock.today])
    assert days_with_raw_response(work) == [*DAYS, work.clock.today]


def test_old_raw_responses_are_deleted_and_rows_stay(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    assert not ingest_usage(UsageRequest(work.organization, work.database, DAYS, now=work.clock)).failed
    work.clock.now = LATER
    work.ingest([LATER.date()], raw_pages_days=30)
    assert days_with_raw_response(work) == [*WITHIN_RETENTION, LATER.date()]
    assert work.stored() == work.expected([*DAYS, LATER.date()])


def test_raw_responses_of_another_organization_stay(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.query("update openai_costs.raw_buckets set organization = 'beta' returning 1")
    work.clock.now = LATER
    work.ingest([LATER.date()], raw_pages_days=30)
    assert days_with_raw_response(work) == [*DAYS, LATER.date()]


def test_unchanged_day_without_raw_response_is_not_a_restatement(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.clock.now = LATER
    for _ in range(2):
        assert not work.ingest(DAYS, raw_pages_days=30).failed
        assert days_with_raw_response(work) == WITHIN_RETENTION
    assert revisions(work) == []
    assert work.stored() == work.expected(DAYS)


def test_restatement_is_found_without_the_earlier_raw_response(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.clock.now = LATER
    work.ingest([LATER.date()], raw_pages_days=30)
    work.simulated.plant_anomaly(DAY, 2)
    work.ingest(DAYS, raw_pages_days=30)
    restated = revisions(work)
    assert {day for day, *_ in restated} == {DAY}
    assert all(new == 2 * old for _, old, new in restated)


def test_day_that_returns_to_its_first_amount_is_a_second_restatement(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    original = work.simulated.facts(DAY)
    work.clock.now = LATER
    work.simulated.plant_anomaly(DAY, 2)
    work.ingest(DAYS)
    work.ingest([LATER.date()], raw_pages_days=30)
    work.simulated.restate(DAY, lambda _: original)
    work.ingest(DAYS, raw_pages_days=30)
    assert len(revisions(work)) % 2 == 0
    assert sum(new - old for _, old, new in revisions(work)) == 0
    assert work.stored() == work.expected([*DAYS, LATER.date()])


def test_old_raw_responses_are_deleted_although_the_run_fails(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.clock.now = LATER
    work.simulated.revoke_key()
    assert work.ingest([LATER.date()], raw_pages_days=30).failed
    assert days_with_raw_response(work) == WITHIN_RETENTION


@pytest.mark.usefixtures("runs_at_the_clock")
def test_asset_uses_the_configured_retention(
    bench: MakeBench, configure: Configure, instance: dg.DagsterInstance
) -> None:
    work = bench(start_date=DAY)
    work.ingest(DAYS)
    work.clock.now = LATER
    configuration = configure(work.organization, database=work.database, retention={"raw_pages_days": 30})
    definitions = build_definitions(configuration)
    asset = definitions.get_assets_def(costs_key(OrganizationName("acme")))
    assert dg.materialize([asset], instance=instance, partition_key="2026-03-01").success
    assert days_with_raw_response(work) == [*WITHIN_RETENTION, dt.date(2026, 3, 1)]
