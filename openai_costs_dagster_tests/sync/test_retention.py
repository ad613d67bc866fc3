"""Tests of retention: raw responses are deleted after the configured time, and rows and revisions remain."""

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

from ..conftest import NOW, Configure
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days

DAY = dt.date(2026, 2, 3)
DAYS = days(DAY, 5)
LATER = dt.datetime(2026, 3, 7, 12, tzinfo=dt.UTC)  # Thirty days earlier is the middle of `DAYS`.
WITHIN_RETENTION = days(dt.date(2026, 2, 5), 3)


def days_with_raw_response(setup: SyncSetup) -> list[dt.date]:
    """Return the days whose raw response is stored."""
    found = setup.query("select distinct usage_date from openai_costs.raw_buckets order by 1")
    return [day for (day,) in found]


def revisions(setup: SyncSetup) -> list[tuple[Any, ...]]:
    return setup.query("select usage_date, old_amount, new_amount from openai_costs.cost_revisions order by 1")


def test_raw_responses_are_stored_forever_by_default(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(DAYS)
    setup.clock.now = NOW + 300 * ONE_DAY
    setup.ingest([setup.clock.today])
    assert days_with_raw_response(setup) == [*DAYS, setup.clock.today]


def test_old_raw_responses_are_deleted_and_rows_stay(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(DAYS)
    assert not ingest_usage(UsageRequest(setup.organization, setup.database, DAYS, now=setup.clock)).failed
    setup.clock.now = LATER
    setup.ingest([LATER.date()], raw_pages_days=30)
    assert days_with_raw_response(setup) == [*WITHIN_RETENTION, LATER.date()]
    assert setup.stored() == setup.expected([*DAYS, LATER.date()])


def test_raw_responses_of_another_organization_stay(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(DAYS)
    setup.query("update openai_costs.raw_buckets set organization = 'beta' returning 1")
    setup.clock.now = LATER
    setup.ingest([LATER.date()], raw_pages_days=30)
    assert days_with_raw_response(setup) == [*DAYS, LATER.date()]


def test_unchanged_day_without_raw_response_is_not_a_restatement(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(DAYS)
    setup.clock.now = LATER
    for _ in range(2):
        assert not setup.ingest(DAYS, raw_pages_days=30).failed
        assert days_with_raw_response(setup) == WITHIN_RETENTION
    assert revisions(setup) == []
    assert setup.stored() == setup.expected(DAYS)


def test_restatement_is_found_without_the_earlier_raw_response(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(DAYS)
    setup.clock.now = LATER
    setup.ingest([LATER.date()], raw_pages_days=30)
    setup.simulated.plant_anomaly(DAY, 2)
    setup.ingest(DAYS, raw_pages_days=30)
    restated = revisions(setup)
    assert {day for day, *_ in restated} == {DAY}
    assert all(new == 2 * old for _, old, new in restated)


def test_day_that_returns_to_its_first_amount_is_a_second_restatement(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(DAYS)
    original = setup.simulated.facts(DAY)
    setup.clock.now = LATER
    setup.simulated.plant_anomaly(DAY, 2)
    setup.ingest(DAYS)
    setup.ingest([LATER.date()], raw_pages_days=30)
    setup.simulated.restate(DAY, lambda _: original)
    setup.ingest(DAYS, raw_pages_days=30)
    assert len(revisions(setup)) % 2 == 0
    assert sum(new - old for _, old, new in revisions(setup)) == 0
    assert setup.stored() == setup.expected([*DAYS, LATER.date()])


def test_old_raw_responses_are_deleted_even_if_the_run_fails(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(DAYS)
    setup.clock.now = LATER
    setup.simulated.revoke_key()
    assert setup.ingest([LATER.date()], raw_pages_days=30).failed
    assert days_with_raw_response(setup) == WITHIN_RETENTION


@pytest.mark.usefixtures("runs_at_the_clock")
def test_asset_uses_the_configured_retention(
    make_sync_setup: MakeSyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    setup = make_sync_setup(start_date=DAY)
    setup.ingest(DAYS)
    setup.clock.now = LATER
    configuration = configure(setup.organization, database=setup.database, retention={"raw_pages_days": 30})
    definitions = build_definitions(configuration)
    asset = definitions.get_assets_def(costs_key(OrganizationName("acme")))
    assert dg.materialize([asset], instance=instance, partition_key="2026-03-01").success
    assert days_with_raw_response(setup) == [*WITHIN_RETENTION, dt.date(2026, 3, 1)]
