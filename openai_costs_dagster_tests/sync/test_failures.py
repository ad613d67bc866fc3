"""What goes wrong fails the days that it concerns and no others, is said for each, and stores nothing by half."""

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

from ..bench import Bench, days, small_world, spent
from ..conftest import Clock, MakeOrganization
from ..sync_fixtures import MakeBench

DAY = dt.date(2026, 2, 3)
BEFORE, CONCERNED, AFTER = days(DAY, 3), days(DAY + 10 * ONE_DAY, 3), days(DAY + 20 * ONE_DAY, 3)
ALL = [*BEFORE, *CONCERNED, *AFTER]


def asks_for(query: Query, day: dt.date) -> bool:
    """Whether a grouped request begins on a day."""
    return query["start_time"] == [str(unix_midnight(day))] and "group_by" in query


def breaking(work: Bench, day: dt.date, *faults: Fault) -> Callable[[Query], None]:
    """Breaks the grouped requests that begin on a day, as often as there are faults."""
    left = list(faults)

    def script(query: Query) -> None:
        if left and asks_for(query, day):
            work.simulator.faults.queue(left.pop(0))

    return script


def nothing(_: Query) -> None:
    """What the script of a quiet day does."""


def reasons(outcome: Outcome) -> set[tuple[str, bool]]:
    return {(failure.reason, failure.permanent) for failure in outcome.failed.values()}


@pytest.mark.parametrize(
    "kind", [FaultKind.MISSING_DAY, FaultKind.MORE_WITHOUT_CURSOR, FaultKind.CUT_JSON, FaultKind.UNAVAILABLE]
)
def test_a_failed_window_fails_its_own_days_and_no_others(bench: MakeBench, kind: FaultKind) -> None:
    work = bench()
    work.ingest(ALL)  # what is served is known now: each window is one chain
    before = {key: amount for key, amount in work.stored().items() if key[0] in CONCERNED}
    for day in ALL:
        work.world.restate(day, lambda facts: tuple(fact.scaled(Decimal(2)) for fact in facts))
    work.simulator.script = breaking(work, CONCERNED[0], *[Fault(kind)] * 10)
    outcome = work.ingest(ALL)
    assert list(outcome.failed) == CONCERNED
    assert {failure.permanent for failure in outcome.failed.values()} == {kind is FaultKind.MISSING_DAY}
    assert list(outcome.stored) == [*BEFORE, *AFTER]
    assert work.stored() == {**before, **work.expected([*BEFORE, *AFTER])}
    work.simulator.script = nothing
    work.simulator.faults.clear()
    assert list(work.ingest(outcome.failed).stored) == CONCERNED
    assert work.stored() == work.expected(ALL)


@pytest.mark.parametrize(
    "kind", [FaultKind.REPEATED_CURSOR, FaultKind.MISSING_DAY, FaultKind.MORE_WITHOUT_CURSOR, FaultKind.CUT_JSON]
)
def test_a_chain_that_breaks_on_its_second_page_of_three_stores_nothing_of_its_window(
    bench: MakeBench, kind: FaultKind
) -> None:
    work = bench(small_world(api_keys_from=None, users_with_projects_served=True))

    def break_second_pages(query: Query) -> None:
        if "page" in query and "group_by" in query:
            work.simulator.faults.queue(Fault(kind))

    work.simulator.script = break_second_pages
    outcome = work.ingest(work.year)
    assert list(outcome.failed) == work.year
    assert work.stored_days() == []


def test_the_last_error_is_noted_with_its_days_until_a_success(bench: MakeBench) -> None:
    work = bench()
    query = "select last_error, last_error_is_permanent, last_success_at from openai_costs.organizations"
    work.ingest(ALL)
    work.simulator.script = breaking(work, CONCERNED[0], *[Fault(FaultKind.UNAVAILABLE)] * 10)
    work.ingest(ALL)
    ((error, permanent, last_success),) = work.query(query)
    assert error.startswith(f"{CONCERNED[0]}..{CONCERNED[-1]}: the server returned status 503")
    assert (permanent, last_success) == (False, work.clock.now)
    work.ingest(ALL)
    assert work.query(query) == [(None, None, work.clock.now)]


def test_an_organization_that_was_never_read_has_its_first_failure_noted(bench: MakeBench) -> None:
    work = bench()
    work.world.revoke_key()
    work.ingest([DAY])
    assert work.query(
        "select organization, last_error_is_permanent from openai_costs.sync_status join "
        "openai_costs.organizations using (organization)"
    ) == [("acme", True)]


def test_a_revoked_key_takes_few_requests_and_needs_a_person(bench: MakeBench) -> None:
    work = bench()
    work.world.revoke_key()
    outcome = work.ingest(work.year)
    assert set(outcome.failed) == set(work.year)
    assert outcome.requests == len(work.simulator.requests) <= 2
    ((reason, permanent),) = reasons(outcome)
    assert permanent
    assert "Incorrect API key provided" in reason
    assert work.world.admin_key[-4:] not in reason


def test_a_key_revoked_in_the_middle_leaves_what_was_stored(bench: MakeBench) -> None:
    work = bench()
    work.ingest(ALL)
    work.simulator.script = lambda query: work.world.revoke_key() if asks_for(query, CONCERNED[0]) else None
    outcome = work.ingest(ALL)
    assert set(outcome.failed) >= set(CONCERNED)
    assert {permanent for _, permanent in reasons(outcome)} == {True}
    assert outcome.stored
    assert work.stored() == work.expected(ALL)


def test_a_rotated_key_needs_no_restart(bench: MakeBench) -> None:
    work = bench()
    work.ingest([DAY])
    work.world.rotate_key("sk-admin-simulated-new")
    assert work.ingest([DAY]).failed
    key = work.organization.admin_key.file
    assert key
    key.write_text("sk-admin-simulated-new\n", encoding="utf-8")
    assert work.ingest([DAY]).stored


def test_a_key_that_is_not_there_fails_every_day_without_a_request(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = bench()
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    work.organization = work.organization.model_copy(update={"admin_key": SecretReference(env="NO_SUCH_KEY")})
    outcome = work.ingest(ALL)
    assert reasons(outcome) == {("the environment variable NO_SUCH_KEY is not set", True)}
    assert list(outcome.failed) == ALL
    assert work.simulator.requests == []


def test_an_organization_that_is_not_the_configured_one_stops_everything(bench: MakeBench) -> None:
    work = bench(organization_id="org-ANOTHER")
    outcome = work.ingest(work.year)
    assert set(outcome.failed) == set(work.year)
    ((reason, permanent),) = reasons(outcome)
    assert permanent
    assert "the key reads org-SIMULATEDACME, but org-ANOTHER was expected" in reason
    assert work.stored_days() == []
    assert outcome.requests <= 12


def test_a_mistyped_organization_id_can_be_corrected(bench: MakeBench) -> None:
    work = bench(organization_id="org-MISTYPED")
    assert work.ingest([DAY]).failed
    work.organization = work.organization.model_copy(update={"organization_id": work.world.organization_id})
    assert reasons(work.ingest([DAY])) == set()
    assert work.stored() == work.expected([DAY])


@pytest.mark.parametrize("configured", [None, "org-SIMULATEDACME"])
def test_an_answer_of_another_organization_stops_the_run(bench: MakeBench, configured: str | None) -> None:
    work = bench(organization_id=configured)
    work.ingest(ALL)
    before = work.stored()
    work.simulator.script = breaking(work, CONCERNED[0], Fault(FaultKind.WRONG_ORGANIZATION))
    outcome = work.ingest(ALL)
    assert set(CONCERNED) <= set(outcome.failed)
    assert {permanent for _, permanent in reasons(outcome)} == {True}
    assert work.stored() == before


def test_two_names_for_one_organization_are_refused(bench: MakeBench, organization: MakeOrganization) -> None:
    work = bench()
    work.ingest([DAY])
    work.organization = organization(work.simulator, "acme-again")
    ((reason, permanent),) = reasons(work.ingest([DAY]))
    assert permanent
    assert "acme-again and acme are one OpenAI organization (org-SIMULATEDACME)" in reason
    assert work.stored(("organization",)) == {}
    assert work.stored(organization="acme") == work.expected([DAY])


def test_a_name_whose_key_reads_another_organization_is_refused(
    bench: MakeBench, organization: MakeOrganization
) -> None:
    work = bench()
    work.ingest([DAY])
    before = work.stored()
    other = small_world(organization_id="org-OTHER", admin_key="sk-admin-simulated-other", seed=2)
    work.simulator.organizations.append(other)
    work.organization = organization(work.simulator, "acme", simulated=other)
    assert {permanent for _, permanent in reasons(work.ingest([DAY]))} == {True}
    assert work.stored() == before


def test_the_one_character_that_postgres_cannot_hold_is_replaced_and_nothing_else_suffers(bench: MakeBench) -> None:
    work = bench()
    work.world.restate(CONCERNED[1], lambda facts: (replace(facts[0], line_item="a\0b"), *facts[1:]))
    assert not work.ingest(ALL).failed
    assert work.query("select count(*) from openai_costs.daily_costs where line_item = 'a\ufffdb'") == [(1,)]
    assert work.stored(["project_id"]) == work.expected(ALL, ["project_id"])


def test_a_settled_day_that_came_back_empty_is_read_once_more_before_it_is_believed(bench: MakeBench) -> None:
    work = bench()
    work.ingest(BEFORE)
    work.world.empty(DAY)
    asked = len(work.simulator.requests)
    report = work.ingest(BEFORE).stored[DAY]
    assert len(work.simulator.requests) - asked == 5  # both sides twice, and the users' totals
    assert report.became_empty
    assert work.stored() == work.expected(BEFORE)
    assert work.query("select sum(new_amount) from openai_costs.cost_revisions") == [(Decimal(0),)]
    assert not work.ingest(BEFORE).stored[DAY].became_empty


def test_a_day_that_is_empty_for_a_moment_is_not_believed(bench: MakeBench) -> None:
    work = bench()
    facts = work.world.facts(DAY)
    work.ingest(BEFORE)
    before = work.stored()
    work.world.empty(DAY)
    answers = iter(range(100))

    def come_back(_: Query) -> None:
        if next(answers) == 2:  # both sides were answered empty
            work.world.restate(DAY, lambda _: facts)

    work.simulator.script = come_back
    report = work.ingest(BEFORE).stored[DAY]
    assert not report.became_empty
    assert report.change_usd == 0
    assert work.stored() == before
    assert work.query("select * from openai_costs.cost_revisions") == []


def test_a_provisional_day_may_come_back_empty_without_a_second_look(bench: MakeBench, clock: Clock) -> None:
    work = bench()
    work.ingest([clock.today])
    work.world.empty(clock.today)
    outcome = work.ingest([clock.today])
    assert outcome.requests == 3  # both sides once, and the users' totals
    assert not outcome.stored[clock.today].became_empty


@pytest.fixture
def billed_otherwise(bench: MakeBench) -> Iterator[Bench]:
    """The ungrouped answer bills a cent more on one day than its rows add up to."""
    work = bench()
    facts = work.world.facts(DAY)
    cent = replace(facts[0], amount=Decimal("0.01"))

    def script(query: Query) -> None:
        more: tuple[Fact, ...] = facts if "group_by" in query else (*facts, cent)
        work.world.restate(DAY, lambda _: more)

    work.simulator.script = script
    yield work
    work.world.restate(DAY, lambda _: facts)


def test_sums_that_differ_are_read_once_more_then_stored_and_flagged(billed_otherwise: Bench) -> None:
    work = billed_otherwise
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
    assert outcome.stored[DAY].amount_usd == spent(small_world().facts(DAY))


def test_a_second_answer_that_cannot_be_had_never_prevents_storing(bench: MakeBench) -> None:
    work = bench()

    def refuse(query: Query) -> None:
        if "group_by" not in query and query["start_time"] == [str(unix_midnight(DAY))]:
            work.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE))

    work.simulator.script = refuse
    outcome = work.ingest([DAY])
    assert outcome.stored[DAY].reconciled is None
    assert work.stored() == work.expected([DAY])


def test_answers_of_two_readings_are_not_held_against_each_other(bench: MakeBench) -> None:
    # The day is restated before every request, so both answers are asked for again; the last one cannot be had.
    work = bench(small_world(api_keys_from=None, users_with_projects_served=True), start_date=DAY)
    facts = work.world.facts(DAY)
    numbers = itertools.count()

    def script(_: Query) -> None:
        number = next(numbers)
        work.world.restate(DAY, lambda _: facts[number:])
        if number >= 3:
            work.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE))

    work.simulator.script = script
    assert work.ingest([DAY]).stored[DAY].reconciled is None


def test_postgres_down_is_said_for_every_day_and_passes(bench: MakeBench, caplog: pytest.LogCaptureFixture) -> None:
    work = bench()
    work.database = Database("postgresql://ann:hunter2xyz@127.0.0.1:1/x")
    outcome = work.ingest(ALL)
    ((reason, permanent),) = reasons(outcome)
    assert "is PostgreSQL running there" in reason
    assert not permanent
    assert list(outcome.failed) == ALL
    assert work.simulator.requests == []
    assert "hunter2xyz" not in reason + caplog.text


def test_postgres_going_away_in_the_middle_leaves_whole_windows_and_passes(bench: MakeBench) -> None:
    work = bench()
    work.ingest(ALL)
    before = work.stored()
    for day in ALL:
        work.world.restate(day, lambda facts: tuple(fact.scaled(Decimal(2)) for fact in facts))

    def kill_the_reader(query: Query) -> None:
        if asks_for(query, CONCERNED[0]):
            work.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%acme%'")

    work.simulator.script = kill_the_reader
    outcome = work.ingest(ALL)
    assert {permanent for _, permanent in reasons(outcome)} == {False}
    assert set(CONCERNED) <= set(outcome.failed)
    untouched = {key: amount for key, amount in before.items() if key[0] in outcome.failed}
    assert work.stored() == {**untouched, **work.expected(outcome.stored)}


def test_two_ingestions_at_once_of_the_same_days_leave_the_right_figures(
    bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    work = bench()
    wanted = days(DAY, 30)
    barrier = threading.Barrier(2)
    outcomes: list[Outcome] = []

    def read() -> None:
        barrier.wait(30)
        outcomes.append(work.ingest(wanted, trigger="manual"))

    with caplog.at_level(logging.WARNING):
        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [len(outcome.stored) for outcome in outcomes] == [30, 30]
    assert work.stored() == work.expected(wanted)
    assert work.query("select count(*) from openai_costs.cost_revisions") == [(0,)]
    assert "another reader has acme: openai-costs acme person" in caplog.text


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The host keeps the time of Kiritimati, 14 hours ahead of UTC, and libpq that of Tokyo."""
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "Pacific/Kiritimati")
        zone.setenv("PGTZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_days_do_not_follow_the_zone_of_the_host(bench: MakeBench) -> None:
    work = bench()
    wanted = [work.clock.today - ONE_DAY, work.clock.today]
    assert not work.ingest(wanted).failed
    assert work.stored() == work.expected(wanted)
