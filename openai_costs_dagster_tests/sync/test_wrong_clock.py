"""Tests of synchronization on a machine whose clock differs from the clock of OpenAI's server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.simulator import Fault, FaultKind
from openai_costs_dagster.sync.usage import UsageRequest, ingest_usage

from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days, small_organization


@pytest.fixture
def skewed(make_sync_setup: MakeSyncSetup) -> Callable[[dt.timedelta], SyncSetup]:
    """Return a function that sets up an organization whose API server is behind the clock of this machine."""

    def make(difference: dt.timedelta) -> SyncSetup:
        setup = make_sync_setup(small_organization(users_with_projects_served=True))
        setup.simulator.clock = lambda: setup.clock.now - difference
        return setup

    return make


@pytest.mark.parametrize("ahead", [dt.timedelta(hours=18), ONE_DAY, 2 * ONE_DAY, 7 * ONE_DAY], ids=str)
def test_clock_ahead_stores_all_days_that_have_begun(
    skewed: Callable[[dt.timedelta], SyncSetup], ahead: dt.timedelta
) -> None:
    setup = skewed(ahead)
    today = (setup.clock.now - ahead).date()
    begun = days(today - 9 * ONE_DAY, 10)
    later = days(today + ONE_DAY, (setup.clock.today - today).days)
    outcome = setup.ingest([*begun, *later], trigger="schedule")
    assert outcome.failed == {}
    assert list(outcome.stored) == setup.stored_days() == begun
    assert outcome.not_started == set(later)
    assert "ahead of the clock of 127.0.0.1" in outcome.notes()[-1]
    assert setup.query("select count(*) from openai_costs.open_failures") == [(0,)]
    # A day is settled 48 hours after its end, so the last three days are provisional by the clock of the server.
    provisional = [day for day, report in outcome.stored.items() if report.provisional]
    assert provisional == begun[-3:]
    usage = ingest_usage(UsageRequest(setup.organization, setup.database, [*begun, *later], now=setup.clock))
    assert usage.failed == {}
    assert list(usage.stored) == begun
    assert usage.not_started == set(later)
    assert usage.clock_warning == outcome.clock_warning
    # The next requests contain only days that have not begun for the server.
    outcome = setup.ingest(later)
    assert (outcome.failed, outcome.stored, outcome.not_started) == ({}, {}, set(later))
    usage = ingest_usage(UsageRequest(setup.organization, setup.database, later, now=setup.clock))
    assert (usage.failed, usage.stored, usage.not_started) == ({}, {}, set(later))


def test_clock_far_ahead_fails_only_days_that_have_not_begun(skewed: Callable[[dt.timedelta], SyncSetup]) -> None:
    """With a difference of 30 days, the clock of the server may be the wrong one, so later days count as failed."""
    setup = skewed(30 * ONE_DAY)
    today = setup.clock.today - 30 * ONE_DAY
    outcome = setup.ingest(days(today - 4 * ONE_DAY, 35))
    assert list(outcome.stored) == days(today - 4 * ONE_DAY, 5)
    assert list(outcome.failed) == days(today + ONE_DAY, 30)
    assert "has not begun" in outcome.message
    assert outcome.message.count("the clock of this machine is 30 days ahead") == 1
    usage = ingest_usage(
        UsageRequest(setup.organization, setup.database, days(today - 4 * ONE_DAY, 35), now=setup.clock)
    )
    assert list(usage.stored) == days(today - 4 * ONE_DAY, 5)
    assert sorted(usage.failed) == days(today + ONE_DAY, 30)


def test_clock_that_is_behind_is_reported_with_a_failure(skewed: Callable[[dt.timedelta], SyncSetup]) -> None:
    setup = skewed(-ONE_DAY)
    requested_days = days(setup.clock.today - 4 * ONE_DAY, 5)
    assert list(setup.ingest(requested_days).stored) == requested_days
    setup.simulator.faults.ratio(1, 7, [FaultKind.MISSING_DAY])
    outcome = setup.ingest(requested_days)
    assert list(outcome.failed) == requested_days
    assert outcome.not_started == set()
    assert outcome.message.endswith("24 hours behind the clock of 127.0.0.1: correct the clock, for example with NTP")


def test_missing_days_with_a_correct_clock_are_failures(skewed: Callable[[dt.timedelta], SyncSetup]) -> None:
    setup = skewed(dt.timedelta(0))
    requested_days = days(setup.clock.today - 2 * ONE_DAY, 3)
    setup.ingest(requested_days)
    setup.simulator.faults.queue(*[Fault(FaultKind.REPEATED_CURSOR), Fault(FaultKind.MISSING_DAY)] * 3)
    outcome = setup.ingest(requested_days)
    assert (list(outcome.failed), outcome.clock_warning) == (requested_days, None)
