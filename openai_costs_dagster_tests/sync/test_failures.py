"""Failures while synchronizing costs: each fails its own days only, and no window is stored in part."""

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

from ..bench import Bench, days, small_organization, spent
from ..conftest import Clock, MakeOrganization
from ..sync_fixtures import MakeBench

DAY = dt.date(2026, 2, 3)
BEFORE, FAILING, AFTER = days(DAY, 3), days(DAY + 10 * ONE_DAY, 3), days(DAY + 20 * ONE_DAY, 3)
ALL = [*BEFORE, *FAILING, *AFTER]


def is_grouped_from(query: Query, day: dt.date) -> bool:
    """Return whether the request is grouped and starts on the day."""
    return query["start_time"] == [str(unix_midnight(day))] and "group_by" in query


def queue_faults(work: Bench, day: dt.date, *faults: Fault) -> Callable[[Query], None]:
    """Return a script that responds to each grouped request from the day on with the next of the faults."""
    remaining = list(faults)

    def script(query: Query) -> None:
        if remaining and is_grouped_from(query, day):
            work.simulator.faults.queue(remaining.pop(0))

    return script


def no_script(_: Query) -> None:
    """Change nothing."""


def reasons(outcome: Outcome) -> set[tuple[str, bool]]:
    return {(failure.reason, failure.permanent) for failure in outcome.failed.values()}


@pytest.mark.parametrize(
    "kind", [FaultKind.MISSING_DAY, FaultKind.MORE_WITHOUT_CURSOR, FaultKind.CUT_JSON, FaultKind.UNAVAILABLE]
)
def test_failed_window_fails_only_its_own_days(bench: MakeBench, kind: FaultKind) -> None:
    work = bench()
    work.ingest(ALL)  # stores the served groupings, so that the next run sends one query per window
    before = {key: amount for key, amount in work.stored().items() if key[0] in FAILING}
    for day in ALL:
        work.simulated.restate(day, lambda facts: tuple(fact.scaled(Decimal(2)) for fact in facts))
    work.simulator.script = queue_faults(work, FAILING[0], *[Fault(kind)] * 10)
    outcome = work.ingest(ALL)
    assert list(outcome.failed) == FAILING
    assert {failure.permanent for failure in outcome.failed.values()} == {kind is FaultKind.MISSING_DAY}
    assert list(outcome.stored) == [*BEFORE, *AFTER]
    assert work.stored() == {**before, **work.expected([*BEFORE, *AFTER])}
    work.simulator.script = no_script
    work.simulator.faults.clear()
    assert list(work.ingest(outcome.failed).stored) == FAILING
    assert work.stored() == work.expected(ALL)


@pytest.mark.parametrize(
    "kind", [FaultKind.REPEATED_CURSOR, FaultKind.MISSING_DAY, FaultKind.MORE_WITHOUT_CURSOR, FaultKind.CUT_JSON]
)
def test_failure_on_the_second_page_stores_nothing_of_the_window(bench: MakeBench, kind: FaultKind) -> None:
    work = bench(small_organization(api_keys_from=None, users_with_projects_served=True))

    def break_second_pages(query: Query) -> None:
        if "page" in query and "group_by" in query:
            work.simulator.faults.queue(Fault(kind))

    work.simulator.script = break_second_pages
    outcome = work.ingest(work.year)
    assert list(outcome.failed) == work.year
    assert work.stored_days() == []


def test_last_error_is_stored_with_its_days_until_a_success(bench: MakeBench) -> None:
    work = bench()
    query = "select last_error, last_error_is_permanent, last_success_at from openai_costs.organizations"
    work.ingest(ALL)
    work.simulator.script = queue_faults(work, FAILING[0], *[Fault(FaultKind.UNAVAILABLE)] * 10)
    work.ingest(ALL)
    ((error, permanent, last_success),) = work.query(query)
    assert error.startswith(f"{FAILING[0]}..{FAILING[-1]}: the server returned status 503")
    assert (permanent, last_success) == (False, work.clock.now)
    work.ingest(ALL)
    assert work.query(query) == [(None, None, work.clock.now)]


def test_first_failure_of_a_new_organization_is_stored(bench: MakeBench) -> None:
    work = bench()
    work.simulated.revoke_key()
    work.ingest([DAY])
    assert work.query(
        "select organization, last_error_is_permanent from openai_costs.sync_status join "
        "openai_costs.organizations using (organization)"
    ) == [("acme", True)]


def test_revoked_key_is_permanent_after_two_requests(bench: MakeBench) -> None:
    work = bench()
    work.simulated.revoke_key()
    outcome = work.ingest(work.year)
    assert set(outcome.failed) == set(work.year)
    assert outcome.requests == len(work.simulator.requests) <= 2
    ((reason, permanent),) = reasons(outcome)
    assert permanent
    assert "Incorrect API key provided" in reason
    assert work.simulated.admin_key[-4:] not in reason


def test_key_revoked_during_a_run_keeps_stored_windows(bench: MakeBench) -> None:
    work = bench()
    work.ingest(ALL)
    work.simulator.script = lambda query: work.simulated.revoke_key() if is_grouped_from(query, FAILING[0]) else None
    outcome = work.ingest(ALL)
    assert set(outcome.failed) >= set(FAILING)
    assert {permanent for _, permanent in reasons(outcome)} == {True}
    assert outcome.stored
    assert work.stored() == work.expected(ALL)


def test_rotated_key_is_used_without_a_restart(bench: MakeBench) -> None:
    work = bench()
    work.ingest([DAY])
    work.simulated.rotate_key("sk-admin-simulated-new")
    assert work.ingest([DAY]).failed
    key = work.organization.admin_key.file
    assert key
    key.write_text("sk-admin-simulated-new\n", encoding="utf-8")
    assert work.ingest([DAY]).stored


def test_unavailable_key_fails_every_day_without_a_request(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    work = bench()
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    work.organization = work.organization.model_copy(update={"admin_key": SecretReference(env="NO_SUCH_KEY")})
    outcome = work.ingest(ALL)
    assert reasons(outcome) == {("the environment variable NO_SUCH_KEY is not set", True)}
    assert list(outcome.failed) == ALL
    assert work.simulator.requests == []


def test_key_of_another_organization_than_configured_stores_nothing(bench: MakeBench) -> None:
    work = bench(organization_id="org-ANOTHER")
    outcome = work.ingest(work.year)
    assert set(outcome.failed) == set(work.year)
    ((reason, permanent),) = reasons(outcome)
    assert permanent
    assert "the key reads org-SIMULATEDACME, but org-ANOTHER was expected" in reason
    assert work.stored_days() == []
    assert outcome.requests <= 12


def test_corrected_organization_id_is_accepted(bench: MakeBench) -> None:
    work = bench(organization_id="org-MISTYPED")
    assert work.ingest([DAY]).failed
    work.organization = work.organization.model_copy(update={"organization_id": work.simulated.organization_id})
    assert reasons(work.ingest([DAY])) == set()
    assert work.stored() == work.expected([DAY])


@pytest.mark.parametrize("configured", [None, "org-SIMULATEDACME"])
def test_response_of_another_organization_ends_the_run(bench: MakeBench, configured: str | None) -> None:
    work = bench(organization_id=configured)
    work.ingest(ALL)
    before = work.stored()
    work.simulator.script = queue_faults(work, FAILING[0], Fault(FaultKind.WRONG_ORGANIZATION))
    outcome = work.ingest(ALL)
    assert set(FAILING) <= set(outcome.failed)
    assert {permanent for _, permanent in reasons(outcome)} == {True}
    assert work.stored() == before


def test_second_name_for_the_same_organization_is_rejected(bench: MakeBench, organization: MakeOrganization) -> None:
    work = bench()
    work.ingest([DAY])
    work.organization = organization(work.simulator, "acme-again")
    ((reason, permanent),) = reasons(work.ingest([DAY]))
    assert permanent
    assert "acme-again and acme are one OpenAI organization (org-SIMULATEDACME)" in reason
    assert work.stored(("organization",)) == {}
    assert work.stored(organization="acme") == work.expected([DAY])


def test_name_with_a_key_of_another_organization_is_rejected(bench: MakeBench, organization: MakeOrganization) -> None:
    work = bench()
    work.ingest([DAY])
    before = work.stored()
    other = small_organization(organization_id="org-OTHER", admin_key="sk-admin-simulated-other", seed=2)
    work.simulator.organizations.append(other)
    work.organization = organization(work.simulator, "acme", simulated=other)
    assert {permanent for _, permanent in reasons(work.ingest([DAY]))} == {True}
    assert work.stored() == before


def test_nul_character_is_replaced_and_all_other_rows_are_stored(bench: MakeBench) -> None:
    work = bench()
    work.simulated.restate(FAILING[1], lambda facts: (replace(facts[0], line_item="a\0b"), *facts[1:]))
    assert not work.ingest(ALL).failed
    assert work.query("select count(*) from openai_costs.daily_costs where line_item = 'a\ufffdb'") == [(1,)]
    assert work.stored(["project_id"]) == work.expected(ALL, ["project_id"])


def test_settled_day_that_becomes_empty_is_requested_twice(bench: MakeBench) -> None:
    work = bench()
    work.ingest(BEFORE)
    work.simulated.clear_day(DAY)
    requests_before = len(work.simulator.requests)
    report = work.ingest(BEFORE).stored[DAY]
    assert len(work.simulator.requests) - requests_before == 5  # both responses twice, and the users' totals
    assert report.became_empty
    assert work.stored() == work.expected(BEFORE)
    assert work.query("select sum(new_amount) from openai_costs.cost_revisions") == [(Decimal(0),)]
    assert not work.ingest(BEFORE).stored[DAY].became_empty


def test_day_that_is_empty_in_one_response_only_keeps_its_costs(bench: MakeBench) -> None:
    work = bench()
    facts = work.simulated.facts(DAY)
    work.ingest(BEFORE)
    before = work.stored()
    work.simulated.clear_day(DAY)
    responses = iter(range(100))

    def restore_day(_: Query) -> None:
        if next(responses) == 2:  # after the grouped and the ungrouped response, both empty
            work.simulated.restate(DAY, lambda _: facts)

    work.simulator.script = restore_day
    report = work.ingest(BEFORE).stored[DAY]
    assert not report.became_empty
    assert report.change_usd == 0
    assert work.stored() == before
    assert work.query("select * from openai_costs.cost_revisions") == []


def test_provisional_day_that_becomes_empty_is_requested_once(bench: MakeBench, clock: Clock) -> None:
    work = bench()
    work.ingest([clock.today])
    work.simulated.clear_day(clock.today)
    outcome = work.ingest([clock.today])
    assert outcome.requests == 3  # both responses once, and the users' totals
    assert not outcome.stored[clock.today].became_empty


@pytest.fixture
def unreconciled(bench: MakeBench) -> Iterator[Bench]:
    """An organization whose ungrouped response for `DAY` is one cent more than the sum of the grouped rows."""
    work = bench()
    facts = work.simulated.facts(DAY)
    cent = replace(facts[0], amount=Decimal("0.01"))

    def script(query: Query) -> None:
        served: tuple[Fact, ...] = facts if "group_by" in query else (*facts, cent)
        work.simulated.restate(DAY, lambda _: served)

    work.simulator.script = script
    yield work
    work.simulated.restate(DAY, lambda _: facts)


def test_unreconciled_day_is_requested_twice_and_stored_with_its_difference(unreconciled: Bench) -> None:
    work = unreconciled
    outcome = work.ingest(BEFORE)
    assert not outcome.failed
    assert outcome.stored[DAY].reconciled is False
    assert outcome.stored[DAY].difference == Decimal("-0.01")
    assert all(outcome.stored[day].reconciled for day in BEFORE[1:])
    grouped = [request.query["start_time"] for request in work.simulator.requests if "group_by" in request.query]
    assert grouped[-1] == [str(unix_midnight(DAY))]
    assert work.query("select usage_date, reconcile_difference from openai_costs.cost_days where not reconciled") == [
        (DAY, Decimal("-0.01"))
    ]
    assert outcome.stored[DAY].amount_usd == spent(small_organization().facts(DAY))


def test_failed_ungrouped_request_does_not_prevent_storing(bench: MakeBench) -> None:
    work = bench()

    def refuse(query: Query) -> None:
        if "group_by" not in query and query["start_time"] == [str(unix_midnight(DAY))]:
            work.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE))

    work.simulator.script = refuse
    outcome = work.ingest([DAY])
    assert outcome.stored[DAY].reconciled is None
    assert work.stored() == work.expected([DAY])


def test_responses_from_before_and_after_a_restatement_are_not_compared(bench: MakeBench) -> None:
    # The day is restated before every request, so both responses are requested twice. The last request fails.
    work = bench(small_organization(api_keys_from=None, users_with_projects_served=True), start_date=DAY)
    facts = work.simulated.facts(DAY)
    numbers = itertools.count()

    def script(_: Query) -> None:
        number = next(numbers)
        work.simulated.restate(DAY, lambda _: facts[number:])
        if number >= 3:
            work.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE))

    work.simulator.script = script
    assert work.ingest([DAY]).stored[DAY].reconciled is None


def test_unreachable_database_fails_every_day_as_transient(bench: MakeBench, caplog: pytest.LogCaptureFixture) -> None:
    work = bench()
    work.database = Database("postgresql://ann:hunter2xyz@127.0.0.1:1/x")
    outcome = work.ingest(ALL)
    ((reason, permanent),) = reasons(outcome)
    assert "is PostgreSQL running there" in reason
    assert not permanent
    assert list(outcome.failed) == ALL
    assert work.simulator.requests == []
    assert "hunter2xyz" not in reason + caplog.text


def test_lost_database_connection_leaves_complete_windows(bench: MakeBench) -> None:
    work = bench()
    work.ingest(ALL)
    before = work.stored()
    for day in ALL:
        work.simulated.restate(day, lambda facts: tuple(fact.scaled(Decimal(2)) for fact in facts))

    def end_session(query: Query) -> None:
        if is_grouped_from(query, FAILING[0]):
            work.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%acme%'")

    work.simulator.script = end_session
    outcome = work.ingest(ALL)
    assert {permanent for _, permanent in reasons(outcome)} == {False}
    assert set(FAILING) <= set(outcome.failed)
    untouched = {key: amount for key, amount in before.items() if key[0] in outcome.failed}
    assert work.stored() == {**untouched, **work.expected(outcome.stored)}


def test_concurrent_runs_for_the_same_days_store_the_correct_amounts(
    bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    work = bench()
    wanted = days(DAY, 30)
    barrier = threading.Barrier(2)
    outcomes: list[Outcome] = []

    def ingest() -> None:
        barrier.wait(30)
        outcomes.append(work.ingest(wanted, trigger="manual"))

    with caplog.at_level(logging.WARNING):
        threads = [threading.Thread(target=ingest) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [len(outcome.stored) for outcome in outcomes] == [30, 30]
    assert work.stored() == work.expected(wanted)
    assert work.query("select count(*) from openai_costs.cost_revisions") == [(0,)]
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
def test_days_are_utc_days_in_any_host_time_zone(bench: MakeBench) -> None:
    work = bench()
    wanted = [work.clock.today - ONE_DAY, work.clock.today]
    assert not work.ingest(wanted).failed
    assert work.stored() == work.expected(wanted)
