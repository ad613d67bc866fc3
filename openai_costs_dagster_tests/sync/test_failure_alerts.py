"""A reading that fails is told once, and once more when it works; other organizations go on."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.simulator import Fault, FaultKind

from ..bench import Bench, days, small_world
from ..sync_fixtures import MakeBench

HOUR = dt.timedelta(hours=1)


def told(work: Bench) -> list[tuple[Any, ...]]:
    return work.query("select event, severity, title from openai_costs.outbox where not acknowledged order by alert_id")


def refresh(work: Bench, count: int = 1, trigger: str = "schedule") -> None:
    """An hourly one reads today, a daily one the trailing days."""
    work.clock.now += HOUR
    work.ingest(days(work.clock.today - (count - 1) * ONE_DAY, count), trigger=trigger)


def break_everything(work: Bench) -> None:
    for _ in range(10):
        work.simulator.faults.queue(Fault(FaultKind.SERVER_ERROR))


def test_a_revoked_key_is_told_once_and_its_return_once(bench: MakeBench) -> None:
    work = bench()
    refresh(work, 4)
    key, work.world.admin_key = work.world.admin_key, "sk-admin-another"
    refresh(work, 4)
    for _ in range(30):
        refresh(work)
    assert told(work) == [("failed", "high", "acme: its admin key does not work")]
    work.world.admin_key = key
    refresh(work)
    assert [event for event, *_ in told(work)] == ["failed", "recovered"]
    refresh(work, 4)
    for _ in range(3):
        refresh(work)
    assert len(told(work)) == 2


def test_a_lost_scope_is_told_apart_from_a_revoked_key(bench: MakeBench) -> None:
    work = bench()
    refresh(work)
    work.world.scopes = frozenset()
    refresh(work)
    work.world.admin_key = "sk-admin-another"
    refresh(work)
    refresh(work)
    sentences = [one for (one,) in work.query("select message from openai_costs.outbox order by alert_id")]
    assert len(sentences) == 2
    assert "api.usage.read" in sentences[0]
    assert "api.usage.read" not in sentences[1]


def test_what_passes_within_the_hour_is_not_told(bench: MakeBench) -> None:
    work = bench()
    for _ in range(3):
        break_everything(work)
        refresh(work)
        work.simulator.faults.clear()
        refresh(work)
    assert told(work) == []


def test_what_does_not_pass_within_the_hour_is_told_once(bench: MakeBench) -> None:
    work = bench()
    for _ in range(4):
        break_everything(work)
        refresh(work)
        work.simulator.faults.clear()
    assert told(work) == [("failed", "medium", "acme: costs cannot be read")]
    refresh(work)
    assert [event for event, *_ in told(work)] == ["failed", "recovered"]


def test_a_run_for_other_days_that_works_is_not_the_end_of_it(bench: MakeBench) -> None:
    work = bench()
    old = [work.clock.today - 9 * ONE_DAY]
    for _ in range(2):
        break_everything(work)
        work.ingest(old, trigger="schedule")
        work.simulator.faults.clear()
        refresh(work)
    assert [event for event, *_ in told(work)] == ["failed"]
    work.ingest(old, trigger="schedule")
    assert [event for event, *_ in told(work)] == ["failed", "recovered"]


@pytest.mark.parametrize("trigger", ["manual", "backfill"])
def test_what_a_person_meets_is_not_told_and_what_a_person_mends_is(bench: MakeBench, trigger: str) -> None:
    work = bench()
    work.world.admin_key = "sk-admin-another"
    refresh(work, trigger=trigger)
    assert told(work) == []
    refresh(work)
    work.world.admin_key = work.organization.admin_key.read()
    refresh(work, trigger=trigger)
    assert [event for event, *_ in told(work)] == ["failed", "recovered"]


def test_days_before_what_the_api_keeps_are_no_failure(bench: MakeBench) -> None:
    work = bench(small_world(lookback_days=100))
    work.ingest(days(work.clock.today - 120 * ONE_DAY, 121), trigger="schedule")
    assert told(work) == []
