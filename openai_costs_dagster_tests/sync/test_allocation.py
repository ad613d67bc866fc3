"""Allocation of stored costs, compared with the users and keys that caused them in the simulator."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.simulator import Fault, FaultKind
from openai_costs_dagster.simulator.queries import Query
from openai_costs_dagster.sync.allocation import AllocationOutcome, allocate_days
from openai_costs_dagster.sync.usage import UsageRequest, ingest_usage

from ..bench import WIDE, Bench, days
from ..simulator.full_organization import full_organization
from ..sync_fixtures import MakeBench

DAY = dt.date(2026, 2, 4)
DAYS = days(DAY, 3)
TOKENS = ", input", ", cached input", ", output", ", cache writes"

SERVED: dict[str, dict[str, Any]] = {
    "by everything": {"users_with_projects_served": True},
    "users and projects exclude each other": {"users_with_projects_served": False},
    "no keys": {"users_with_projects_served": True, "api_keys_served": False},
    "neither": {"users_with_projects_served": False, "api_keys_served": False},
}


def share(work: Bench, wanted: Collection[dt.date] = DAYS, *, usage: bool = True) -> AllocationOutcome:
    if usage:
        assert not ingest_usage(UsageRequest(work.organization, work.database, wanted, now=work.clock)).failed
    with work.database.connect() as connection:
        return allocate_days(connection, work.organization.name, wanted, work.clock.now)


def make(bench: MakeBench, served: dict[str, Any]) -> Bench:
    simulated = full_organization()
    for name, value in served.items():
        setattr(simulated, name, value)
    work = bench(simulated)
    work.ingest(DAYS)
    return work


def allocated(work: Bench, *by: str, where: str = "true") -> dict[tuple[Any, ...], Decimal]:
    columns = ", ".join(by)
    query = f"select {columns}, sum(amount) from openai_costs.allocated_costs where {where} group by {columns}"  # noqa: S608  # our own names
    return {tuple(key): amount for *key, amount in work.query(query)}


def difference(work: Bench) -> list[tuple[Any, ...]]:
    """Return the keys whose allocated costs do not add up to their costs exactly."""
    sums = "select usage_date, project_id, line_item, currency, sum(amount) from openai_costs.{} group by 1, 2, 3, 4"
    billed, shared = sums.format("daily_costs"), sums.format("allocated_costs")
    return work.query(f"({billed} except {shared}) union all ({shared} except {billed})")


def caused_costs(work: Bench) -> dict[tuple[Any, ...], Decimal]:
    """Return the true amounts of line items billed by tokens, by user, key and project."""
    truth: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for day in DAYS:
        for fact in work.simulated.facts(day):
            if fact.line_item and fact.line_item.endswith(TOKENS):
                key = (fact.user_id, fact.api_key_id, fact.project_id)
                truth[key] = WIDE.add(truth[key], fact.amount or Decimal(0))
    return dict(truth)


@pytest.mark.parametrize("served", SERVED.values(), ids=SERVED)
def test_costs_are_allocated_to_the_users_and_keys_that_caused_them(bench: MakeBench, served: dict[str, Any]) -> None:
    work = make(bench, served)
    share(work)
    assert difference(work) == []
    tokens = " or ".join(f"line_item like '%%{kind}'" for kind in TOKENS)
    found = allocated(work, "user_id", "api_key_id", "project_id", where=f"({tokens})")
    truth = caused_costs(work)
    assert truth
    for who, amount in truth.items():
        assert abs(found.pop(who) - amount) <= Decimal("0.0001") * abs(amount), who
    assert sum(map(abs, found.values()), Decimal(0)) < Decimal("0.000001")


def test_day_without_allocation_is_shown_as_billed(bench: MakeBench) -> None:
    work = make(bench, SERVED["by everything"])
    assert difference(work) == []
    assert {method for (method,) in allocated(work, "method")} <= {"billed", "unallocated"}


def test_outdated_allocation_is_not_shown_after_costs_change(bench: MakeBench) -> None:
    work = make(bench, SERVED["users and projects exclude each other"])
    share(work)
    work.simulated.restate(DAY, lambda facts: facts[:-3])
    work.ingest([DAY])
    assert difference(work) == []
    share(work, [DAY])
    assert difference(work) == []


def test_late_usage_is_allocated_when_it_is_stored(bench: MakeBench) -> None:
    work = make(bench, {"users_with_projects_served": False})
    work.simulated.restate_usage(DAY, lambda _: ())
    share(work)
    before = allocated(work, "method", where=f"usage_date = '{DAY}'")
    work.simulated.restate_usage(DAY, lambda _: work.simulated.facts(DAY))
    share(work, [DAY])
    after = allocated(work, "method", where=f"usage_date = '{DAY}'")
    assert difference(work) == []
    assert after.get(("unallocated",), Decimal(0)) < before.get(("unallocated",), Decimal(0))


def test_restated_usage_changes_the_allocation(bench: MakeBench) -> None:
    work = make(bench, {"users_with_projects_served": False, "api_keys_served": False})
    work.simulated.restate_usage(
        DAY, lambda facts: tuple(replace(fact, api_key_id="key_moved") if fact.api_key_id else fact for fact in facts)
    )
    share(work, [DAY])
    assert ("key_moved",) in allocated(work, "api_key_id", where=f"usage_date = '{DAY}'")
    work.simulated.restate_usage(DAY, lambda _: work.simulated.facts(DAY))
    share(work, [DAY])
    assert ("key_moved",) not in allocated(work, "api_key_id")


def test_missing_and_unreconciled_days_are_skipped_with_a_reason(bench: MakeBench) -> None:
    work = make(bench, SERVED["by everything"])
    with work.database.connect() as connection:
        connection.execute("update openai_costs.cost_days set reconciled = false where usage_date = %s", [DAY])
    outcome = share(work, [*DAYS, DAY + 9 * ONE_DAY], usage=False)
    assert set(outcome.days) == set(DAYS[1:])
    assert outcome.skipped == {
        DAY: "its rows do not add up to the total that the API bills",
        DAY + 9 * ONE_DAY: "its costs are not stored",
    }
    assert outcome.unreconciled == [DAY]
    assert difference(work) == []


def test_missing_usage_is_reported_as_a_token_difference(bench: MakeBench) -> None:
    work = make(bench, SERVED["by everything"])
    assert all(not report.differences for report in share(work).days.values())
    work.simulated.restate_usage(
        DAY, lambda facts: tuple(fact for fact in facts if fact.model != "gpt-5-mini-2025-08-07")
    )
    (found, *_) = share(work, [DAY]).days[DAY].differences
    assert found.model == "gpt-5-mini-2025-08-07"
    assert not found.counted


def test_unit_cost_is_the_amount_per_counted_token(bench: MakeBench) -> None:
    work = make(bench, SERVED["by everything"])
    share(work)
    for amount, tokens, requests, by_tokens, by_request in work.query(
        "select amount, tokens, requests, cost_per_1k_tokens, cost_per_request from openai_costs.unit_costs"
        " where tokens is not null"
    ):
        assert by_tokens == round(1000 * amount / tokens, 12)
        assert by_request is None or by_request == round(amount / requests, 12)
    assert work.query("select count(*) from openai_costs.unit_costs where tokens > 0")[0][0] > 3


def test_report_contains_the_allocated_amounts(bench: MakeBench) -> None:
    work = make(bench, SERVED["users and projects exclude each other"])
    for report in share(work).days.values():
        assert report.gross_usd >= report.to_users_usd > 0
        assert report.gross_usd >= report.to_keys_usd > report.to_users_usd
        assert report.unallocated_usd >= 0


def known_totals(work: Bench) -> set[dt.date]:
    return {day for (day,) in work.query("select usage_date from openai_costs.user_cost_days")}


@pytest.mark.parametrize("trouble", ["refused", "failing"])
def test_stored_user_totals_stay_if_a_later_request_fails(bench: MakeBench, trouble: str) -> None:
    work = make(bench, SERVED["neither"])
    assert known_totals(work) == set(DAYS)
    before = work.query("select * from openai_costs.user_costs order by user_costs")
    work.simulator.script = before_user_totals(work, lambda _: break_users(work, trouble))
    assert not work.ingest(DAYS).failed
    assert work.query("select * from openai_costs.user_costs order by user_costs") == before
    share(work)
    assert difference(work) == []


def test_refused_day_does_not_affect_user_totals_of_other_days(bench: MakeBench) -> None:
    simulated = full_organization()
    simulated.users_with_projects_served = False
    work = bench(simulated)
    wanted = days(DAY, 10)

    def refuse_some(asked: DayRange) -> None:
        simulated.users_served = not set(wanted[:3]) & set(asked)

    work.simulator.script = before_user_totals(work, refuse_some)
    assert not work.ingest(wanted).failed
    assert known_totals(work) == set(wanted[3:])
    requests = len(work.simulator.requests)
    assert not work.ingest(wanted).failed
    assert known_totals(work) == set(wanted[3:])
    assert len(work.simulator.requests) - requests <= 4


def break_users(work: Bench, trouble: str) -> None:
    if trouble == "refused":
        work.simulated.users_served = False
    else:
        work.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE))


def before_user_totals(work: Bench, then: Callable[[DayRange], None]) -> Callable[[Query], None]:
    """Return a script that calls `then` before each response of costs grouped by user and line item."""

    def script(query: Query) -> None:
        if set(query.get("group_by", ())) == {"user_id", "line_item"}:
            first, end = (
                dt.datetime.fromtimestamp(int(query[name][0]), dt.UTC).date() for name in ("start_time", "end_time")
            )
            then(DayRange(first, end - ONE_DAY))

    return script
