"""Tests of failures during synchronization: a failure affects only its own days, and every window is stored whole."""

import datetime as dt
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY, unix_midnight
from openai_costs_dagster.simulator import Fact, Fault, FaultKind
from openai_costs_dagster.simulator.queries import Query
from openai_costs_dagster.sync.outcome import Outcome
from openai_costs_dagster.warehouse.database import Database

from ..conftest import Clock, MakeOrganization
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days, small_organization, spent

DAY = dt.date(2026, 2, 3)
BEFORE, FAILING, AFTER = days(DAY, 3), days(DAY + 10 * ONE_DAY, 3), days(DAY + 20 * ONE_DAY, 3)
ALL = [*BEFORE, *FAILING, *AFTER]


def is_grouped_from(query: Query, day: dt.date) -> bool:
    """Return whether the request is grouped and starts on the day."""
    return query["start_time"] == [str(unix_midnight(day))] and "group_by" in query


def queue_faults(setup: SyncSetup, day: dt.date, *faults: Fault) -> Callable[[Query], None]:
    """Return a script that responds to each grouped request from the day on with the next of the faults."""
    remaining = list(faults)

    def script(query: Query) -> None:
        if remaining and is_grouped_from(query, day):
            setup.simulator.faults.queue(remaining.pop(0))

    return script


def no_script(_: Query) -> None:
    """Leave the response of the simulator unchanged."""


def reasons(outcome: Outcome) -> set[tuple[str, bool]]:
    return {(failure.reason, failure.permanent) for failure in outcome.failed.values()}


@pytest.mark.parametrize(
    "kind", [FaultKind.MISSING_DAY, FaultKind.MORE_WITHOUT_CURSOR, FaultKind.CUT_JSON, FaultKind.UNAVAILABLE]
)
def test_failed_window_fails_only_its_own_days(make_sync_setup: MakeSyncSetup, kind: FaultKind) -> None:
    setup = make_sync_setup()
    # This run stores the served groupings, so that the next run sends one query per window.
    setup.ingest(ALL)
    before = {key: amount for key, amount in setup.stored().items() if key[0] in FAILING}
    for day in ALL:
        setup.simulated.restate(day, lambda facts: tuple(fact.scaled(Decimal(2)) for fact in facts))
    setup.simulator.script = queue_faults(setup, FAILING[0], *[Fault(kind)] * 10)
    outcome = setup.ingest(ALL)
    assert list(outcome.failed) == FAILING
    assert {failure.permanent for failure in outcome.failed.values()} == {kind is FaultKind.MISSING_DAY}
    assert list(outcome.stored) == [*BEFORE, *AFTER]
    assert setup.stored() == {**before, **setup.expected([*BEFORE, *AFTER])}
    setup.simulator.script = no_script
    setup.simulator.faults.clear()
    assert list(setup.ingest(outcome.failed).stored) == FAILING
    assert setup.stored() == setup.expected(ALL)


@pytest.mark.parametrize(
    "kind", [FaultKind.REPEATED_CURSOR, FaultKind.MISSING_DAY, FaultKind.MORE_WITHOUT_CURSOR, FaultKind.CUT_JSON]
)
def test_failure_on_the_second_page_stores_nothing_of_the_window(
    make_sync_setup: MakeSyncSetup, kind: FaultKind
) -> None:
    setup = make_sync_setup(small_organization(api_keys_from=None, users_with_projects_served=True))

    def break_second_pages(query: Query) -> None:
        if "page" in query and "group_by" in query:
            setup.simulator.faults.queue(Fault(kind))

    setup.simulator.script = break_second_pages
    outcome = setup.ingest(setup.year)
    assert list(outcome.failed) == setup.year
    assert setup.stored_days() == []


def test_last_error_is_stored_with_its_days_until_a_success(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    query = "select last_error, last_error_is_permanent, last_success_at from openai_costs.organizations"
    setup.ingest(ALL)
    setup.simulator.script = queue_faults(setup, FAILING[0], *[Fault(FaultKind.UNAVAILABLE)] * 10)
    setup.ingest(ALL)
    ((error, permanent, last_success),) = setup.query(query)
    assert error.startswith(f"{FAILING[0]}..{FAILING[-1]}: the server returned status 503")
    assert (permanent, last_success) == (False, setup.clock.now)
    setup.ingest(ALL)
    assert setup.query(query) == [(None, None, setup.clock.now)]


def test_first_failure_of_a_new_organization_is_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.simulated.revoke_key()
    setup.ingest([DAY])
    assert setup.query(
        "select organization, last_error_is_permanent from openai_costs.sync_status join "
        "openai_costs.organizations using (organization)"
    ) == [("acme", True)]


def test_revoked_key_is_permanent_after_two_requests(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.simulated.revoke_key()
    outcome = setup.ingest(setup.year)
    assert set(outcome.failed) == set(setup.year)
    assert outcome.requests == len(setup.simulator.requests) <= 2
    ((reason, permanent),) = reasons(outcome)
    assert permanent
    assert "Incorrect API key provided" in reason
    assert setup.simulated.admin_key[-4:] not in reason


def test_key_revoked_during_a_run_keeps_stored_windows(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(ALL)
    setup.simulator.script = lambda query: setup.simulated.revoke_key() if is_grouped_from(query, FAILING[0]) else None
    outcome = setup.ingest(ALL)
    assert set(outcome.failed) >= set(FAILING)
    assert {permanent for _, permanent in reasons(outcome)} == {True}
    assert outcome.stored
    assert setup.stored() == setup.expected(ALL)


def test_rotated_key_is_used_without_a_restart(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest([DAY])
    setup.simulated.rotate_key("sk-admin-simulated-new")
    assert setup.ingest([DAY]).failed
    key = setup.organization.admin_key.file
    assert key
    key.write_text("sk-admin-simulated-new\n", encoding="utf-8")
    assert setup.ingest([DAY]).stored


def test_unavailable_key_fails_every_day_without_a_request(
    make_sync_setup: MakeSyncSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_sync_setup()
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    setup.organization = setup.organization.model_copy(update={"admin_key": SecretReference(env="NO_SUCH_KEY")})
    outcome = setup.ingest(ALL)
    assert reasons(outcome) == {("the environment variable NO_SUCH_KEY is not set", True)}
    assert list(outcome.failed) == ALL
    assert setup.simulator.requests == []


def test_key_of_another_organization_than_configured_stores_nothing(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(organization_id="org-ANOTHER")
    outcome = setup.ingest(setup.year)
    assert set(outcome.failed) == set(setup.year)
    ((reason, permanent),) = reasons(outcome)
    assert permanent
    assert "the key reads org-SIMULATEDACME, but org-ANOTHER was expected" in reason
    assert setup.stored_days() == []
    assert outcome.requests <= 12


def test_corrected_organization_id_is_accepted(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(organization_id="org-MISTYPED")
    assert setup.ingest([DAY]).failed
    setup.organization = setup.organization.model_copy(update={"organization_id": setup.simulated.organization_id})
    assert reasons(setup.ingest([DAY])) == set()
    assert setup.stored() == setup.expected([DAY])


@pytest.mark.parametrize("configured", [None, "org-SIMULATEDACME"])
def test_response_of_another_organization_ends_the_run(make_sync_setup: MakeSyncSetup, configured: str | None) -> None:
    setup = make_sync_setup(organization_id=configured)
    setup.ingest(ALL)
    before = setup.stored()
    setup.simulator.script = queue_faults(setup, FAILING[0], Fault(FaultKind.WRONG_ORGANIZATION))
    outcome = setup.ingest(ALL)
    assert set(FAILING) <= set(outcome.failed)
    assert {permanent for _, permanent in reasons(outcome)} == {True}
    assert setup.stored() == before


def test_second_name_for_the_same_organization_is_rejected(
    make_sync_setup: MakeSyncSetup, organization: MakeOrganization
) -> None:
    setup = make_sync_setup()
    setup.ingest([DAY])
    setup.organization = organization(setup.simulator, "acme-again")
    ((reason, permanent),) = reasons(setup.ingest([DAY]))
    assert permanent
    assert "acme-again and acme are one OpenAI organization (org-SIMULATEDACME)" in reason
    assert setup.stored(("organization",)) == {}
    assert setup.stored(organization="acme") == setup.expected([DAY])


def test_name_with_a_key_of_another_organization_is_rejected(
    make_sync_setup: MakeSyncSetup, organization: MakeOrganization
) -> None:
    setup = make_sync_setup()
    setup.ingest([DAY])
    before = setup.stored()
    other = small_organization(organization_id="org-OTHER", admin_key="sk-admin-simulated-other", seed=2)
    setup.simulator.organizations.append(other)
    setup.organization = organization(setup.simulator, "acme", simulated=other)
    assert {permanent for _, permanent in reasons(setup.ingest([DAY]))} == {True}
    assert setup.stored() == before


def test_nul_character_is_replaced_and_all_other_rows_are_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.simulated.restate(FAILING[1], lambda facts: (replace(facts[0], line_item="a\0b"), *facts[1:]))
    assert not setup.ingest(ALL).failed
    assert setup.query("select count(*) from openai_costs.daily_costs where line_item = 'a\ufffdb'") == [(1,)]
    assert setup.stored(["project_id"]) == setup.expected(ALL, ["project_id"])


def test_settled_day_that_becomes_empty_is_requested_twice(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(BEFORE)
    setup.simulated.clear_day(DAY)
    requests_before = len(setup.simulator.requests)
    report = setup.ingest(BEFORE).stored[DAY]
    # Two grouped, two ungrouped, and one for the totals by user.
    assert len(setup.simulator.requests) - requests_before == 5
    assert report.became_empty
    assert setup.stored() == setup.expected(BEFORE)
    assert setup.query("select sum(new_amount) from openai_costs.cost_revisions") == [(Decimal(0),)]
    assert not setup.ingest(BEFORE).stored[DAY].became_empty


def test_day_that_is_empty_in_one_response_only_keeps_its_costs(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    facts = setup.simulated.facts(DAY)
    setup.ingest(BEFORE)
    before = setup.stored()
    setup.simulated.clear_day(DAY)
    responses = iter(range(100))

    def restore_day(_: Query) -> None:
        # The first grouped and the first ungrouped response were empty.
        if next(responses) == 2:
            setup.simulated.restate(DAY, lambda _: facts)

    setup.simulator.script = restore_day
    report = setup.ingest(BEFORE).stored[DAY]
    assert not report.became_empty
    assert report.change_usd == 0
    assert setup.stored() == before
    assert setup.query("select * from openai_costs.cost_revisions") == []


def test_provisional_day_that_becomes_empty_is_requested_once(make_sync_setup: MakeSyncSetup, clock: Clock) -> None:
    setup = make_sync_setup()
    setup.ingest([clock.today])
    setup.simulated.clear_day(clock.today)
    outcome = setup.ingest([clock.today])
    assert outcome.requests == 3  # One grouped, one ungrouped, and one for the totals by user.
    assert not outcome.stored[clock.today].became_empty


@pytest.fixture
def unreconciled(make_sync_setup: MakeSyncSetup) -> Iterator[SyncSetup]:
    """An organization whose ungrouped response for `DAY` is one cent more than the sum of the grouped rows."""
    setup = make_sync_setup()
    facts = setup.simulated.facts(DAY)
    cent = replace(facts[0], amount=Decimal("0.01"))

    def script(query: Query) -> None:
        served: tuple[Fact, ...] = facts if "group_by" in query else (*facts, cent)
        setup.simulated.restate(DAY, lambda _: served)

    setup.simulator.script = script
    yield setup
    setup.simulated.restate(DAY, lambda _: facts)


def test_unreconciled_day_is_requested_twice_and_stored_with_its_difference(unreconciled: SyncSetup) -> None:
    setup = unreconciled
    outcome = setup.ingest(BEFORE)
    assert not outcome.failed
    assert outcome.stored[DAY].reconciled is False
    assert outcome.stored[DAY].difference == Decimal("-0.01")
    assert all(outcome.stored[day].reconciled for day in BEFORE[1:])
    grouped = [request.query["start_time"] for request in setup.simulator.requests if "group_by" in request.query]
    assert grouped[-1] == [str(unix_midnight(DAY))]
    assert setup.query("select usage_date, reconcile_difference from openai_costs.cost_days where not reconciled") == [
        (DAY, Decimal("-0.01"))
    ]
    assert outcome.stored[DAY].amount_usd == spent(small_organization().facts(DAY))


def test_failed_ungrouped_request_does_not_prevent_storing(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()

    def refuse(query: Query) -> None:
        if "group_by" not in query and query["start_time"] == [str(unix_midnight(DAY))]:
            setup.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE))

    setup.simulator.script = refuse
    outcome = setup.ingest([DAY])
    assert outcome.stored[DAY].reconciled is None
    assert setup.stored() == setup.expected([DAY])


def test_responses_from_before_and_after_a_restatement_are_not_compared(make_sync_setup: MakeSyncSetup) -> None:
    # The day is restated before every request, so both responses are requested twice. The last request fails.
    setup = make_sync_setup(small_organization(api_keys_from=None, users_with_projects_served=True), start_date=DAY)
    facts = setup.simulated.facts(DAY)
    numbers = itertools.count()

    def script(_: Query) -> None:
        number = next(numbers)
        setup.simulated.restate(DAY, lambda _: facts[number:])
        if number >= 3:
            setup.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE))

    setup.simulator.script = script
    assert setup.ingest([DAY]).stored[DAY].reconciled is None


def test_unreachable_database_fails_every_day_as_transient(
    make_sync_setup: MakeSyncSetup, caplog: pytest.LogCaptureFixture
) -> None:
    setup = make_sync_setup()
    setup.database = Database("postgresql://ann:hunter2xyz@127.0.0.1:1/x")
    outcome = setup.ingest(ALL)
    ((reason, permanent),) = reasons(outcome)
    assert "is PostgreSQL running there" in reason
    assert not permanent
    assert list(outcome.failed) == ALL
    assert setup.simulator.requests == []
    assert "hunter2xyz" not in reason + caplog.text


def test_lost_database_connection_leaves_complete_windows(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(ALL)
    before = setup.stored()
    for day in ALL:
        setup.simulated.restate(day, lambda facts: tuple(fact.scaled(Decimal(2)) for fact in facts))

    def end_session(query: Query) -> None:
        if is_grouped_from(query, FAILING[0]):
            setup.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%acme%'")

    setup.simulator.script = end_session
    outcome = setup.ingest(ALL)
    assert {permanent for _, permanent in reasons(outcome)} == {False}
    assert set(FAILING) <= set(outcome.failed)
    untouched = {key: amount for key, amount in before.items() if key[0] in outcome.failed}
    assert setup.stored() == {**untouched, **setup.expected(outcome.stored)}


def test_concurrent_runs_for_the_same_days_store_the_correct_amounts(
    make_sync_setup: MakeSyncSetup, caplog: pytest.LogCaptureFixture
) -> None:
    setup = make_sync_setup()
    requested_days = days(DAY, 30)
    barrier = threading.Barrier(2)
    outcomes: list[Outcome] = []

    def ingest() -> None:
        barrier.wait(30)
        outcomes.append(setup.ingest(requested_days, trigger="manual"))

    with caplog.at_level(logging.WARNING):
        threads = [threading.Thread(target=ingest) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [len(outcome.stored) for outcome in outcomes] == [30, 30]
    assert setup.stored() == setup.expected(requested_days)
    assert setup.query("select count(*) from openai_costs.cost_revisions") == [(0,)]
    assert "another process synchronizes acme: openai-costs acme manual" in caplog.text


@pytest.fixture
def host_ahead_of_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the time zone of the host to Kiritimati, 14 hours ahead of UTC, and that of libpq to Tokyo."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "Pacific/Kiritimati")
        zone.setenv("PGTZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("host_ahead_of_utc")
def test_days_are_utc_days_in_any_host_time_zone(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    requested_days = [setup.clock.today - ONE_DAY, setup.clock.today]
    assert not setup.ingest(requested_days).failed
    assert setup.stored() == setup.expected(requested_days)
