"""Tests of a failed first run: every day that the API still serves is requested again, including the oldest."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.simulator import Fault, FaultKind
from openai_costs_dagster.simulator.queries import Query
from openai_costs_dagster.sync.onboarding import start_dates

from ..conftest import Clock, Configure
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, small_organization
from .launching import requested, run
from .test_automation import at

pytestmark = pytest.mark.usefixtures("runs_at_the_clock")

MARCH = dt.date(2026, 3, 11)
LEAP_DAY = dt.date(2028, 2, 29)
AFTER_LEAP_DAY = dt.date(2028, 3, 1)


def onboarded(setup: SyncSetup) -> Organization:
    """Store the earliest day that the API serves, as `openai-costs up` does before it starts Dagster."""
    starts, unreachable = start_dates([setup.organization], setup.database, now=setup.clock)
    assert (list(starts), unreachable) == (["acme"], {})
    return setup.organization


@pytest.mark.parametrize(
    ("today", "lookback_days", "start_date"),
    [
        (MARCH, 365, None),
        (MARCH, 365, dt.date(2020, 1, 1)),
        (MARCH, 366, None),
        (MARCH, 90, None),
        (LEAP_DAY, 365, None),
        (AFTER_LEAP_DAY, 366, None),
    ],
)
def test_oldest_served_day_is_requested_until_it_is_read(
    make_sync_setup: MakeSyncSetup,
    configure: Configure,
    instance: dg.DagsterInstance,
    clock: Clock,
    today: dt.date,
    lookback_days: int,
    start_date: dt.date | None,
) -> None:
    clock.now = at(today, "10:10:00")
    setup = make_sync_setup(small_organization(lookback_days=lookback_days), start_date=start_date)
    definitions = build_definitions(configure(onboarded(setup), database=setup.database))
    served = DayRange(today - lookback_days * ONE_DAY, today)
    found, cursor = requested(definitions, instance, clock.now)
    assert found == [served]
    for hour in (11, 12):
        found, cursor = requested(definitions, instance, at(today, f"{hour}:00:10"), cursor=cursor)
        assert found == [served]
    # A day later the API no longer serves the oldest day, and every request for it would fail.
    found, _ = requested(definitions, instance, at(today + ONE_DAY, "00:00:10"), cursor=cursor)
    assert found == [DayRange(served.first + ONE_DAY, today + ONE_DAY)]


def test_first_run_that_fails_is_requested_again_with_its_oldest_day(
    make_sync_setup: MakeSyncSetup, configure: Configure, instance: dg.DagsterInstance, clock: Clock
) -> None:
    clock.now = at(MARCH, "10:10:00")
    setup = make_sync_setup(small_organization(lookback_days=90))
    configuration = configure(onboarded(setup), database=setup.database)
    definitions = build_definitions(configuration)
    (first,), cursor = requested(definitions, instance, clock.now)
    setup.simulated.revoke_key()
    assert not run(configuration, instance, list(first)).success
    again, _ = requested(definitions, instance, at(MARCH, "11:00:10"), cursor=cursor)
    assert again == [first]


def test_days_that_a_first_run_did_not_reach_are_requested_again(
    make_sync_setup: MakeSyncSetup, configure: Configure, instance: dg.DagsterInstance, clock: Clock
) -> None:
    clock.now = at(MARCH, "10:10:00")
    # Costs by API key start within the period, so the run has two sync windows.
    setup = make_sync_setup(small_organization(lookback_days=90, api_keys_from=MARCH - 40 * ONE_DAY))
    configuration = configure(onboarded(setup), database=setup.database)
    definitions = build_definitions(configuration)

    def fail_old_windows(query: Query) -> None:
        first = dt.datetime.fromtimestamp(int(query["start_time"][0]), dt.UTC).date()
        if "group_by" in query and setup.stored_days() and first < MARCH - 40 * ONE_DAY:
            setup.simulator.faults.queue(Fault(FaultKind.SERVER_ERROR))

    setup.simulator.script = fail_old_windows
    (served,), cursor = requested(definitions, instance, clock.now)
    assert not run(configuration, instance, list(served)).success
    stored = setup.stored_days()
    assert 0 < len(stored) < len(served)
    found, _ = requested(definitions, instance, at(MARCH, "11:00:10"), cursor=cursor)
    assert found == [DayRange(served.first, stored[0] - ONE_DAY), DayRange(MARCH - ONE_DAY, MARCH)]


def test_later_start_date_still_requests_served_days(
    make_sync_setup: MakeSyncSetup, configure: Configure, instance: dg.DagsterInstance, clock: Clock
) -> None:
    clock.now = at(MARCH, "10:10:00")
    setup = make_sync_setup(small_organization(lookback_days=90))
    configuration = configure(onboarded(setup), database=setup.database)
    clock.now += dt.timedelta(days=10)
    late = [clock.today - 100 * ONE_DAY, clock.today - 90 * ONE_DAY]
    # The API refuses the oldest day, so the start date moves forward.
    assert not run(configuration, instance, [late[0], late[0] + ONE_DAY]).success
    definitions = build_definitions(configuration)
    found, cursor = requested(definitions, instance, clock.now)
    assert found == [DayRange(late[1], clock.today)]
    found, _ = requested(definitions, instance, at(clock.today, "11:00:10"), cursor=cursor)
    assert found == [DayRange(late[1], clock.today)]
