"""Raw answers are kept as long as the configuration says; rows stay, and no day is ever compared wrongly."""

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
LATER = dt.datetime(2026, 3, 7, 12, tzinfo=dt.UTC)  # thirty days before it is the middle of DAYS
KEPT = days(dt.date(2026, 2, 5), 3)


def kept(work: Bench) -> list[dt.date]:
    """The days of which an answer is kept."""
    found = work.query("select distinct usage_date from openai_costs.raw_buckets order by 1")
    return [day for (day,) in found]


def revisions(work: Bench) -> list[tuple[Any, ...]]:
    return work.query("select usage_date, old_amount, new_amount from openai_costs.cost_revisions order by 1")


def test_raw_answers_are_kept_for_ever_unless_told_otherwise(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.clock.now = NOW + 300 * ONE_DAY
    work.ingest([work.clock.today])
    assert kept(work) == [*DAYS, work.clock.today]


def test_answers_that_are_too_old_go_and_rows_and_days_stay(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    assert not ingest_usage(UsageRequest(work.organization, work.database, DAYS, now=work.clock)).failed
    work.clock.now = LATER
    work.ingest([LATER.date()], raw_pages_days=30)
    assert kept(work) == [*KEPT, LATER.date()]
    assert work.stored() == work.expected([*DAYS, LATER.date()])


def test_another_organizations_answers_stay(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.query("update openai_costs.raw_buckets set organization = 'beta' returning 1")
    work.clock.now = LATER
    work.ingest([LATER.date()], raw_pages_days=30)
    assert kept(work) == [*DAYS, LATER.date()]


def test_a_day_that_is_read_again_as_it_was_is_no_restatement(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.clock.now = LATER
    for _ in range(2):
        assert not work.ingest(DAYS, raw_pages_days=30).failed
        assert kept(work) == KEPT
    assert revisions(work) == []
    assert work.stored() == work.expected(DAYS)


def test_a_restatement_is_seen_without_the_answer_it_changed(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.clock.now = LATER
    work.ingest([LATER.date()], raw_pages_days=30)
    work.world.plant_anomaly(DAY, 2)
    work.ingest(DAYS, raw_pages_days=30)
    restated = revisions(work)
    assert {day for day, *_ in restated} == {DAY}
    assert all(new == 2 * old for _, old, new in restated)


def test_a_day_that_went_back_to_what_it_was_is_a_second_restatement(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    original = work.world.facts(DAY)
    work.clock.now = LATER
    work.world.plant_anomaly(DAY, 2)
    work.ingest(DAYS)
    work.ingest([LATER.date()], raw_pages_days=30)
    work.world.restate(DAY, lambda _: original)
    work.ingest(DAYS, raw_pages_days=30)
    assert len(revisions(work)) % 2 == 0
    assert sum(new - old for _, old, new in revisions(work)) == 0
    assert work.stored() == work.expected([*DAYS, LATER.date()])


def test_answers_go_also_while_nothing_can_be_read(bench: MakeBench) -> None:
    work = bench()
    work.ingest(DAYS)
    work.clock.now = LATER
    work.world.revoke_key()
    assert work.ingest([LATER.date()], raw_pages_days=30).failed
    assert kept(work) == KEPT


@pytest.mark.usefixtures("runs_at_the_clock")
def test_the_asset_keeps_to_the_configuration(
    bench: MakeBench, configure: Configure, instance: dg.DagsterInstance
) -> None:
    work = bench(start_date=DAY)
    work.ingest(DAYS)
    work.clock.now = LATER
    configuration = configure(work.organization, database=work.database, retention={"raw_pages_days": 30})
    definitions = build_definitions(configuration)
    asset = definitions.get_assets_def(costs_key(OrganizationName("acme")))
    assert dg.materialize([asset], instance=instance, partition_key="2026-03-01").success
    assert kept(work) == [*KEPT, dt.date(2026, 3, 1)]
