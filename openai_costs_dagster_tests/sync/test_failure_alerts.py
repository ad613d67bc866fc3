"""Tests of alerts about failed synchronization: one at the failure and one at the recovery of each organization."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.simulator import Fault, FaultKind
from openai_costs_dagster.sync.key_rotation import rotation_steps

from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days, small_organization

HOUR = dt.timedelta(hours=1)


def alerts(setup: SyncSetup) -> list[tuple[Any, ...]]:
    return setup.query(
        "select event, severity, title from openai_costs.outbox where not acknowledged order by alert_id"
    )


def refresh(setup: SyncSetup, count: int = 1, trigger: str = "schedule") -> None:
    """Run an hourly refresh of today, or a daily refresh of several days if `count` is above 1."""
    setup.clock.now += HOUR
    setup.ingest(days(setup.clock.today - (count - 1) * ONE_DAY, count), trigger=trigger)


def break_everything(setup: SyncSetup) -> None:
    for _ in range(10):
        setup.simulator.faults.queue(Fault(FaultKind.SERVER_ERROR))


def test_revoked_key_alerts_once_and_its_recovery_once(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    refresh(setup, 4)
    key, setup.simulated.admin_key = setup.simulated.admin_key, "sk-admin-another"
    refresh(setup, 4)
    for _ in range(30):
        refresh(setup)
    assert alerts(setup) == [("failed", "high", "acme: its admin key does not work")]
    [(message,)] = setup.query("select message from openai_costs.outbox")
    assert message.endswith(f". {rotation_steps(setup.organization)}")
    setup.simulated.admin_key = key
    refresh(setup)
    assert [event for event, *_ in alerts(setup)] == ["failed", "recovered"]
    refresh(setup, 4)
    for _ in range(3):
        refresh(setup)
    assert len(alerts(setup)) == 2


def test_missing_scope_after_a_revoked_key_alerts_again(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    refresh(setup)
    setup.simulated.scopes = frozenset()
    refresh(setup)
    setup.simulated.admin_key = "sk-admin-another"
    refresh(setup)
    refresh(setup)
    messages = [message for (message,) in setup.query("select message from openai_costs.outbox order by alert_id")]
    assert len(messages) == 2
    assert "api.usage.read" in messages[0]
    assert "api.usage.read" not in messages[1]


def test_transient_failure_within_the_hour_does_not_alert(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    for _ in range(3):
        break_everything(setup)
        refresh(setup)
        setup.simulator.faults.clear()
        refresh(setup)
    assert alerts(setup) == []


def test_transient_failure_of_more_than_an_hour_alerts_once(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    for _ in range(4):
        break_everything(setup)
        refresh(setup)
        setup.simulator.faults.clear()
    assert alerts(setup) == [("failed", "medium", "acme: costs cannot be read")]
    refresh(setup)
    assert [event for event, *_ in alerts(setup)] == ["failed", "recovered"]


def test_successful_run_for_other_days_does_not_end_the_failure(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    old = [setup.clock.today - 9 * ONE_DAY]
    for _ in range(2):
        break_everything(setup)
        setup.ingest(old, trigger="schedule")
        setup.simulator.faults.clear()
        refresh(setup)
    assert [event for event, *_ in alerts(setup)] == ["failed"]
    setup.ingest(old, trigger="schedule")
    assert [event for event, *_ in alerts(setup)] == ["failed", "recovered"]


@pytest.mark.parametrize("trigger", ["manual", "backfill"])
def test_manual_runs_and_backfills_do_not_alert_but_end_a_failure(make_sync_setup: MakeSyncSetup, trigger: str) -> None:
    setup = make_sync_setup()
    setup.simulated.admin_key = "sk-admin-another"
    refresh(setup, trigger=trigger)
    assert alerts(setup) == []
    refresh(setup)
    setup.simulated.admin_key = setup.organization.admin_key.read()
    refresh(setup, trigger=trigger)
    assert [event for event, *_ in alerts(setup)] == ["failed", "recovered"]


def test_days_outside_retention_do_not_alert(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(small_organization(lookback_days=100))
    setup.ingest(days(setup.clock.today - 120 * ONE_DAY, 121), trigger="schedule")
    assert alerts(setup) == []
