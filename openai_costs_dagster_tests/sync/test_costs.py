"""Tests of cost synchronization: exact amounts, finest served grouping, few requests, and stored state of each day."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from openai_costs_dagster.days import ONE_DAY, utc_midnight
from openai_costs_dagster.simulator import Deviations, FaultKind, SimulatedOrganization
from openai_costs_dagster.simulator.faults import PAGE_FAULTS
from openai_costs_dagster.simulator.queries import Query

from ..conftest import NOW, Clock
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import WIDE, days, small_organization, spent, total

DAY = dt.date(2026, 2, 3)
KEYS_BEGIN = dt.date(2025, 12, 6)


def everything_served() -> SimulatedOrganization:
    """Return an organization that is served the finest grouping for all days."""
    return small_organization(api_keys_from=None, users_with_projects_served=True)


@pytest.mark.parametrize("deviations", [Deviations(), Deviations.none()], ids=["deviations", "spec"])
def test_year_is_stored_exactly(make_sync_setup: MakeSyncSetup, deviations: Deviations) -> None:
    setup = make_sync_setup(SimulatedOrganization(), deviations=deviations)
    outcome = setup.ingest(setup.year)
    assert not outcome.failed
    assert list(outcome.stored) == setup.year == setup.stored_days()
    assert setup.stored() == setup.expected(setup.year)
    for day, report in outcome.stored.items():
        assert report.amount_usd == spent(setup.simulated.facts_until(day, NOW))
        assert report.reconciled
    by_key = ("project_id", "line_item", "api_key_id")
    detailed = {key: amount for key, amount in setup.stored(by_key).items() if key[0] >= KEYS_BEGIN}
    assert detailed == setup.expected([day for day in setup.year if day >= KEYS_BEGIN], by_key)


@pytest.mark.parametrize(
    "served",
    [
        {},
        {"users_with_projects_served": True},
        {"users_with_projects_served": True, "users_with_projects_from": KEYS_BEGIN},
        {"api_keys_served": False},
        {"api_keys_from": None},
    ],
    ids=["default", "users", "users since API keys", "no API keys", "API keys"],
)
def test_year_takes_few_requests(make_sync_setup: MakeSyncSetup, served: dict[str, object]) -> None:
    setup = make_sync_setup(small_organization(**served))
    assert setup.ingest(setup.year).requests <= 24
    assert setup.ingest(setup.year).requests <= 12
    assert setup.ingest(days(setup.clock.today - 3 * ONE_DAY, 4)).requests <= 3
    assert {request.method for request in setup.simulator.requests} == {"GET"}


@pytest.mark.parametrize("seed", [1, 2])
def test_all_days_are_stored_if_a_third_of_the_responses_fail(make_sync_setup: MakeSyncSetup, seed: int) -> None:
    setup = make_sync_setup()
    # A date in Retry-After is compared with the wall clock, which differs from the clock of this test.
    kinds = [kind for kind in FaultKind if kind not in PAGE_FAULTS - {FaultKind.CUT_JSON}]
    kinds = [kind for kind in kinds if kind not in (FaultKind.HANG, FaultKind.RATE_LIMITED_DATE)]
    setup.simulator.faults.ratio(1 / 3, seed=seed, kinds=kinds)
    outcome = setup.ingest(setup.year)
    assert any(request.fault for request in setup.simulator.requests)
    assert not outcome.failed
    assert outcome.requests == len(setup.simulator.requests)
    assert setup.stored() == setup.expected(setup.year)


def test_days_outside_retention_fail_permanently_and_the_others_are_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    earliest = setup.clock.today - 365 * ONE_DAY
    outcome = setup.ingest(days(earliest - 2 * ONE_DAY, 10))
    assert {day: failure.permanent for day, failure in outcome.failed.items()} == {
        earliest - 2 * ONE_DAY: True,
        earliest - ONE_DAY: True,
    }
    assert f"Earliest supported start date: {earliest}" in outcome.message
    assert setup.stored() == setup.expected(days(earliest, 8))


def test_midnight_between_two_pages_only_loses_the_oldest_day(make_sync_setup: MakeSyncSetup, clock: Clock) -> None:
    setup = make_sync_setup()
    clock.now = utc_midnight(NOW.date() + ONE_DAY) - dt.timedelta(seconds=1)
    year = setup.year

    def pass_midnight(query: Query) -> None:
        if "page" in query:
            clock.now = utc_midnight(NOW.date() + ONE_DAY)

    setup.simulator.script = pass_midnight
    outcome = setup.ingest(year)
    assert list(outcome.failed) == year[:1]
    assert outcome.failed[year[0]].permanent
    settled = year[1:-1]
    assert {key: value for key, value in setup.stored().items() if key[0] in settled} == setup.expected(settled)
    assert setup.stored_days() == year[1:]


def test_first_day_found_by_onboarding_stays_as_time_passes(make_sync_setup: MakeSyncSetup, clock: Clock) -> None:
    setup = make_sync_setup()
    setup.ingest([clock.today])
    clock.now += dt.timedelta(days=30)
    setup.ingest([clock.today])
    assert setup.query("select earliest_day, onboarded_at from openai_costs.organizations") == [
        (NOW.date() - 365 * ONE_DAY, NOW)
    ]


def test_configured_start_within_the_year_needs_no_probe(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(everything_served(), start_date=DAY)
    assert setup.ingest([DAY]).requests == 2


def test_scattered_days_do_not_change_the_days_between(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    requested_days = [DAY, DAY + 2 * ONE_DAY, DAY + 3 * ONE_DAY, DAY + 9 * ONE_DAY]
    setup.ingest(reversed(requested_days))
    assert setup.stored() == setup.expected(requested_days)
    assert setup.stored_days() == requested_days


@pytest.mark.parametrize("settle_hours", [0, 48, 72])
def test_day_is_settled_from_settle_hours_after_its_end_on(
    make_sync_setup: MakeSyncSetup, clock: Clock, settle_hours: int
) -> None:
    setup = make_sync_setup()
    boundary = utc_midnight(DAY + ONE_DAY) + dt.timedelta(hours=settle_hours)
    for now, provisional in ((boundary - dt.timedelta(microseconds=1), True), (boundary, False)):
        clock.now = now
        outcome = setup.ingest([DAY], settle_hours=settle_hours)
        assert outcome.stored[DAY].provisional is provisional
        assert setup.query("select distinct provisional from openai_costs.daily_costs") == [(provisional,)]


def test_growth_of_a_provisional_day_is_not_a_restatement(make_sync_setup: MakeSyncSetup, clock: Clock) -> None:
    setup = make_sync_setup()
    morning = setup.ingest([clock.today]).stored[clock.today]
    clock.now += dt.timedelta(hours=6)
    evening = setup.ingest([clock.today]).stored[clock.today]
    assert morning.change_usd is None
    assert evening.change_usd == WIDE.subtract(evening.amount_usd, morning.amount_usd) > 0
    assert setup.stored() == setup.expected([clock.today])
    assert setup.query("select * from openai_costs.cost_revisions") == []


def test_changed_added_and_removed_rows_of_a_settled_day_are_revisions(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest([DAY])
    before = setup.stored()
    restated, increased, removed, *_ = dict.fromkeys(fact.line_item for fact in setup.simulated.facts(DAY))
    factors = {restated: Decimal("0.5"), increased: Decimal(3)}
    setup.simulated.restate(
        DAY,
        lambda facts: tuple(
            fact.scaled(factors.get(fact.line_item, Decimal(1))) for fact in facts if fact.line_item != removed
        ),
    )
    report = setup.ingest([DAY]).stored[DAY]
    after = setup.expected([DAY])
    assert setup.stored() == after
    assert report.change_usd == WIDE.subtract(total(after), total(before))
    changed = {key for key in before if before[key] != after.get(key, Decimal(0))}
    assert {key[2] for key in changed} == {restated, increased, removed}
    found = setup.query(
        """
        select usage_date, project_id, line_item, sum(old_amount), sum(new_amount)
        from openai_costs.cost_revisions group by 1, 2, 3
        """
    )
    assert {tuple(key): (old, new) for *key, old, new in found} == {
        key: (before[key], after.get(key, Decimal(0))) for key in changed
    }


def test_rows_with_equal_dimensions_are_added_up(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    twice = setup.simulated.facts(DAY)[0]
    half = replace(twice, api_source="agents_api")
    setup.simulated.restate(DAY, lambda facts: (replace(twice, api_source="unlabeled"), half, *facts[2:]))
    setup.ingest([DAY])
    assert setup.stored() == setup.expected([DAY])
    counted = setup.query("select received_count - row_count from openai_costs.cost_days")
    assert counted[0][0] >= 1


def test_missing_amount_is_stored_as_null_and_counted(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(deviations=Deviations.none())
    setup.simulated.restate(DAY, lambda facts: (replace(facts[0], line_item="a free sample", amount=None), *facts[1:]))
    report = setup.ingest([DAY]).stored[DAY]
    assert report.absent_amounts == 1
    assert setup.query("select amount from openai_costs.daily_costs where line_item = 'a free sample'") == [(None,)]


def test_unusual_names_are_stored_unchanged(make_sync_setup: MakeSyncSetup) -> None:
    hostile = "'; drop table openai_costs.cost_rows; --\t\\N\n<script>=1+1</script> \u202e🧪"
    setup = make_sync_setup()
    setup.simulated.restate(
        DAY, lambda facts: (replace(facts[0], line_item=hostile, project_id=hostile, project_name=hostile),)
    )
    assert not setup.ingest([DAY]).failed
    assert setup.query("select line_item, project_id, project_name from openai_costs.daily_costs") == [(hostile,) * 3]


def test_organization_without_spend_has_stored_empty_days(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(SimulatedOrganization(workloads=()))
    empty_days = days(DAY, 30)
    outcome = setup.ingest(empty_days)
    assert not outcome.failed
    assert setup.stored_days() == empty_days
    assert setup.stored() == {}


def test_progress_counts_every_day_once(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    progress: list[int] = []
    earliest = setup.clock.today - 365 * ONE_DAY
    setup.ingest(days(earliest - 2 * ONE_DAY, 20), on_progress=progress.append)
    assert sum(progress) == 20


def test_trigger_and_run_id_are_stored_with_the_sync_window(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest([DAY], trigger="schedule", run_id="run-1")
    assert setup.query(
        "select organization, first_day, last_day, requests, trigger, run_id from openai_costs.sync_windows"
    ) == [("acme", DAY, DAY, 2, "schedule", "run-1")]
