"""Tests that costs are allocated to the users and API keys that caused the costs in the simulator."""

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

from ..simulator.full_organization import full_organization
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import WIDE, SyncSetup, days

DAY = dt.date(2026, 2, 4)
DAYS = days(DAY, 3)
TOKENS = ", input", ", cached input", ", output", ", cache writes"

SERVED: dict[str, dict[str, Any]] = {
    "all dimensions": {"users_with_projects_served": True},
    "users and projects exclude each other": {"users_with_projects_served": False},
    "no API keys": {"users_with_projects_served": True, "api_keys_served": False},
    "neither users with projects nor API keys": {"users_with_projects_served": False, "api_keys_served": False},
}


def allocate(setup: SyncSetup, requested_days: Collection[dt.date] = DAYS, *, usage: bool = True) -> AllocationOutcome:
    if usage:
        assert not ingest_usage(
            UsageRequest(setup.organization, setup.database, requested_days, now=setup.clock)
        ).failed
    with setup.database.connect() as connection:
        return allocate_days(connection, setup.organization.name, requested_days, setup.clock.now)


def synced(make_sync_setup: MakeSyncSetup, served: dict[str, Any]) -> SyncSetup:
    simulated = full_organization()
    for name, value in served.items():
        setattr(simulated, name, value)
    setup = make_sync_setup(simulated)
    setup.ingest(DAYS)
    return setup


def allocated(setup: SyncSetup, *by: str, where: str = "true") -> dict[tuple[Any, ...], Decimal]:
    columns = ", ".join(by)
    query = f"select {columns}, sum(amount) from openai_costs.allocated_costs where {where} group by {columns}"  # noqa: S608  # names from the test
    return {tuple(key): amount for *key, amount in setup.query(query)}


def difference(setup: SyncSetup) -> list[tuple[Any, ...]]:
    """Return the keys whose allocated costs do not add up to their costs exactly."""
    sums = "select usage_date, project_id, line_item, currency, sum(amount) from openai_costs.{} group by 1, 2, 3, 4"
    cost_sums, allocated_sums = sums.format("daily_costs"), sums.format("allocated_costs")
    return setup.query(f"({cost_sums} except {allocated_sums}) union all ({allocated_sums} except {cost_sums})")


def caused_costs(setup: SyncSetup) -> dict[tuple[Any, ...], Decimal]:
    """Return the true amounts of line items billed by tokens, by user, key and project."""
    expected: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for day in DAYS:
        for fact in setup.simulated.facts(day):
            if fact.line_item and fact.line_item.endswith(TOKENS):
                key = (fact.user_id, fact.api_key_id, fact.project_id)
                expected[key] = WIDE.add(expected[key], fact.amount or Decimal(0))
    return dict(expected)


@pytest.mark.parametrize("served", SERVED.values(), ids=SERVED)
def test_costs_are_allocated_to_the_users_and_keys_that_caused_them(
    make_sync_setup: MakeSyncSetup, served: dict[str, Any]
) -> None:
    setup = synced(make_sync_setup, served)
    allocate(setup)
    assert difference(setup) == []
    tokens = " or ".join(f"line_item like '%%{kind}'" for kind in TOKENS)
    found = allocated(setup, "user_id", "api_key_id", "project_id", where=f"({tokens})")
    expected = caused_costs(setup)
    assert expected
    for key, amount in expected.items():
        assert abs(found.pop(key) - amount) <= Decimal("0.0001") * abs(amount), key
    assert sum(map(abs, found.values()), Decimal(0)) < Decimal("0.000001")


def test_day_without_allocation_is_shown_as_billed(make_sync_setup: MakeSyncSetup) -> None:
    setup = synced(make_sync_setup, SERVED["all dimensions"])
    assert difference(setup) == []
    assert {method for (method,) in allocated(setup, "method")} <= {"billed", "unallocated"}


def test_outdated_allocation_is_not_shown_after_costs_change(make_sync_setup: MakeSyncSetup) -> None:
    setup = synced(make_sync_setup, SERVED["users and projects exclude each other"])
    allocate(setup)
    setup.simulated.restate(DAY, lambda facts: facts[:-3])
    setup.ingest([DAY])
    assert difference(setup) == []
    allocate(setup, [DAY])
    assert difference(setup) == []


def test_late_usage_is_allocated_when_it_is_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = synced(make_sync_setup, {"users_with_projects_served": False})
    setup.simulated.restate_usage(DAY, lambda _: ())
    allocate(setup)
    before = allocated(setup, "method", where=f"usage_date = '{DAY}'")
    setup.simulated.restate_usage(DAY, lambda _: setup.simulated.facts(DAY))
    allocate(setup, [DAY])
    after = allocated(setup, "method", where=f"usage_date = '{DAY}'")
    assert difference(setup) == []
    assert after.get(("unallocated",), Decimal(0)) < before.get(("unallocated",), Decimal(0))


def test_restated_usage_changes_the_allocation(make_sync_setup: MakeSyncSetup) -> None:
    setup = synced(make_sync_setup, {"users_with_projects_served": False, "api_keys_served": False})
    setup.simulated.restate_usage(
        DAY, lambda facts: tuple(replace(fact, api_key_id="key_moved") if fact.api_key_id else fact for fact in facts)
    )
    allocate(setup, [DAY])
    assert ("key_moved",) in allocated(setup, "api_key_id", where=f"usage_date = '{DAY}'")
    setup.simulated.restate_usage(DAY, lambda _: setup.simulated.facts(DAY))
    allocate(setup, [DAY])
    assert ("key_moved",) not in allocated(setup, "api_key_id")


def test_missing_and_unreconciled_days_are_skipped_with_a_reason(make_sync_setup: MakeSyncSetup) -> None:
    setup = synced(make_sync_setup, SERVED["all dimensions"])
    with setup.database.connect() as connection:
        connection.execute("update openai_costs.cost_days set reconciled = false where usage_date = %s", [DAY])
    outcome = allocate(setup, [*DAYS, DAY + 9 * ONE_DAY], usage=False)
    assert set(outcome.days) == set(DAYS[1:])
    assert outcome.skipped == {
        DAY: "its rows do not add up to the total that the API bills",
        DAY + 9 * ONE_DAY: "its costs are not stored",
    }
    assert outcome.unreconciled == [DAY]
    assert difference(setup) == []


def test_missing_usage_is_reported_as_a_token_difference(make_sync_setup: MakeSyncSetup) -> None:
    setup = synced(make_sync_setup, SERVED["all dimensions"])
    assert all(not report.differences for report in allocate(setup).days.values())
    setup.simulated.restate_usage(
        DAY, lambda facts: tuple(fact for fact in facts if fact.model != "gpt-5-mini-2025-08-07")
    )
    (found, *_) = allocate(setup, [DAY]).days[DAY].differences
    assert found.model == "gpt-5-mini-2025-08-07"
    assert not found.counted


def test_unit_cost_is_the_amount_per_counted_token(make_sync_setup: MakeSyncSetup) -> None:
    setup = synced(make_sync_setup, SERVED["all dimensions"])
    allocate(setup)
    for amount, tokens, requests, by_tokens, by_request in setup.query(
        "select amount, tokens, requests, cost_per_1k_tokens, cost_per_request from openai_costs.unit_costs"
        " where tokens is not null"
    ):
        assert by_tokens == round(1000 * amount / tokens, 12)
        assert by_request is None or by_request == round(amount / requests, 12)
    assert setup.query("select count(*) from openai_costs.unit_costs where tokens > 0")[0][0] > 3


def test_report_contains_the_allocated_amounts(make_sync_setup: MakeSyncSetup) -> None:
    setup = synced(make_sync_setup, SERVED["users and projects exclude each other"])
    for report in allocate(setup).days.values():
        assert report.gross_usd >= report.to_users_usd > 0
        assert report.gross_usd >= report.to_keys_usd > report.to_users_usd
        assert report.unallocated_usd >= 0


def days_with_totals(setup: SyncSetup) -> set[dt.date]:
    return {day for (day,) in setup.query("select usage_date from openai_costs.user_cost_days")}


@pytest.mark.parametrize("failure", ["refused", "failing"])
def test_stored_user_totals_stay_if_a_later_request_fails(make_sync_setup: MakeSyncSetup, failure: str) -> None:
    setup = synced(make_sync_setup, SERVED["neither users with projects nor API keys"])
    assert days_with_totals(setup) == set(DAYS)
    before = setup.query("select * from openai_costs.user_costs order by user_costs")
    setup.simulator.script = before_user_totals(setup, lambda _: fail_user_totals(setup, failure))
    assert not setup.ingest(DAYS).failed
    assert setup.query("select * from openai_costs.user_costs order by user_costs") == before
    allocate(setup)
    assert difference(setup) == []


def test_refused_day_does_not_affect_user_totals_of_other_days(make_sync_setup: MakeSyncSetup) -> None:
    simulated = full_organization()
    simulated.users_with_projects_served = False
    setup = make_sync_setup(simulated)
    requested_days = days(DAY, 10)

    def refuse_first_days(requested: DayRange) -> None:
        simulated.users_served = not set(requested_days[:3]) & set(requested)

    setup.simulator.script = before_user_totals(setup, refuse_first_days)
    assert not setup.ingest(requested_days).failed
    assert days_with_totals(setup) == set(requested_days[3:])
    requests = len(setup.simulator.requests)
    assert not setup.ingest(requested_days).failed
    assert days_with_totals(setup) == set(requested_days[3:])
    assert len(setup.simulator.requests) - requests <= 4


def fail_user_totals(setup: SyncSetup, failure: str) -> None:
    if failure == "refused":
        setup.simulated.users_served = False
    else:
        setup.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE))


def before_user_totals(setup: SyncSetup, then: Callable[[DayRange], None]) -> Callable[[Query], None]:
    """Return a script that calls `then` before each response of costs grouped by user and line item."""

    def script(query: Query) -> None:
        if set(query.get("group_by", ())) == {"user_id", "line_item"}:
            first, end = (
                dt.datetime.fromtimestamp(int(query[name][0]), dt.UTC).date() for name in ("start_time", "end_time")
            )
            then(DayRange(first, end - ONE_DAY))

    return script
