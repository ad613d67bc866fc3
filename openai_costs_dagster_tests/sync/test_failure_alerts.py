"""Alerts about failed synchronization: one when it fails and one when it works again, for each organization."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.simulator import Fault, FaultKind

from ..bench import Bench, days, small_organization
from ..sync_fixtures import MakeBench

HOUR = dt.timedelta(hours=1)


def alerts(work: Bench) -> list[tuple[Any, ...]]:
    return work.query("select event, severity, title from openai_costs.outbox where not acknowledged order by alert_id")


def refresh(work: Bench, count: int = 1, trigger: str = "schedule") -> None:
    """Run an hourly refresh of today, or a daily refresh of several days if `count` is above 1."""
    work.clock.now += HOUR
    work.ingest(days(work.clock.today - (count - 1) * ONE_DAY, count), trigger=trigger)


def break_everything(work: Bench) -> None:
    for _ in range(10):
        work.simulator.faults.queue(Fault(FaultKind.SERVER_ERROR))


def test_revoked_key_alerts_once_and_its_recovery_once(bench: MakeBench) -> None:
    work = bench()
    refresh(work, 4)
    key, work.simulated.admin_key = work.simulated.admin_key, "sk-admin-another"
    refresh(work, 4)
    for _ in range(30):
        refresh(work)
    assert alerts(work) == [("failed", "high", "acme: its admin key does not work")]
    work.simulated.admin_key = key
    refresh(work)
    assert [event for event, *_ in alerts(work)] == ["failed", "recovered"]
    refresh(work, 4)
    for _ in range(3):
        refresh(work)
    assert len(alerts(work)) == 2


def test_missing_scope_after_a_revoked_key_alerts_again(bench: MakeBench) -> None:
    work = bench()
    refresh(work)
    work.simulated.scopes = frozenset()
    refresh(work)
    work.simulated.admin_key = "sk-admin-another"
    refresh(work)
    refresh(work)
    messages = [message for (message,) in work.query("select message from openai_costs.outbox order by alert_id")]
    assert len(messages) == 2
    assert "api.usage.read" in messages[0]
    assert "api.usage.read" not in messages[1]


def test_transient_failure_within_the_hour_does_not_alert(bench: MakeBench) -> None:
    work = bench()
    for _ in range(3):
        break_everything(work)
        refresh(work)
        work.simulator.faults.clear()
        refresh(work)
    assert alerts(work) == []


def test_transient_failure_of_more_than_an_hour_alerts_once(bench: MakeBench) -> None:
    work = bench()
    for _ in range(4):
        break_everything(work)
        refresh(work)
        work.simulator.faults.clear()
    assert alerts(work) == [("failed", "medium", "acme: costs cannot be read")]
    refresh(work)
    assert [event for event, *_ in alerts(work)] == ["failed", "recovered"]


def test_successful_run_for_other_days_does_not_end_the_failure(bench: MakeBench) -> None:
    work = bench()
    old = [work.clock.today - 9 * ONE_DAY]
    for _ in range(2):
        break_everything(work)
        work.ingest(old, trigger="schedule")
        work.simulator.faults.clear()
        refresh(work)
    assert [event for event, *_ in alerts(work)] == ["failed"]
    work.ingest(old, trigger="schedule")
    assert [event for event, *_ in alerts(work)] == ["failed", "recovered"]


@pytest.mark.parametrize("trigger", ["manual", "backfill"])
def test_manual_runs_and_backfills_do_not_alert_but_end_a_failure(bench: MakeBench, trigger: str) -> None:
    work = bench()
    work.simulated.admin_key = "sk-admin-another"
    refresh(work, trigger=trigger)
    assert alerts(work) == []
    refresh(work)
    work.simulated.admin_key = work.organization.admin_key.read()
    refresh(work, trigger=trigger)
    assert [event for event, *_ in alerts(work)] == ["failed", "recovered"]


def test_days_outside_retention_do_not_alert(bench: MakeBench) -> None:
    work = bench(small_organization(lookback_days=100))
    work.ingest(days(work.clock.today - 120 * ONE_DAY, 121), trigger="schedule")
    assert alerts(work) == []
