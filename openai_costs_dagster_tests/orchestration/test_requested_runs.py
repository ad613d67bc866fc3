"""Tests that runs requested by the refresh sensor evaluate all checks of their assets."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import dagster as dg
import pytest

from openai_costs_dagster.configuration import Budget, Organization, Refresh
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.orchestration.build import build_definitions

from ..conftest import Configure
from .launching import RequestedRun, requested_runs
from .test_automation import SUNDAY, TODAY, at

ORGANIZATIONS = ("acme", "beta")
ASSETS = ("costs", "usage", "allocated_costs")
CHECKS = {
    "costs": {"complete", "reconciles", "anomalous_spend", "latest_day", "budgets"},
    "usage": set(),
    "allocated_costs": {"usage_matches_bill", "anomalous_spend", "budgets"},
}
BUDGETS = (Budget(amount_usd=Decimal(100)), Budget(amount_usd=Decimal(100), user="user_1"))
START = SUNDAY - 36 * ONE_DAY


def definitions(
    configure: Configure, *, start: dt.date = START, usage: bool = True, **refresh: object
) -> dg.Definitions:
    organizations = [
        Organization(
            name=name,
            admin_key=SecretReference(env=f"NO_KEY_OF_{name}"),
            start_date=start,
            budgets=BUDGETS,
            usage=usage,
        )
        for name in ORGANIZATIONS
    ]
    return build_definitions(
        configure(
            *organizations,
            database="postgresql://127.0.0.1:1/x",
            refresh=Refresh().model_copy(update=refresh),
        )
    )


def materialize(instance: dg.DagsterInstance, organization: str, asset: str, *days: dt.date) -> None:
    key = dg.AssetKey(["openai", organization, asset])
    for day in days:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day.isoformat()))


@pytest.fixture
def read(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """An instance with materialized partitions of both organizations for every day up to the Sunday before."""
    for organization in ORGANIZATIONS:
        for asset in ASSETS:
            materialize(instance, organization, asset, *DayRange(START, SUNDAY))
    return instance


def assert_all_checks_are_evaluated(runs: list[RequestedRun]) -> None:
    for run in runs:
        expected = {f"{asset}:{check}" for asset in run.assets for check in CHECKS[asset.partition("/")[2]]}
        assert run.checks == expected, run


def days_by_organization(runs: list[RequestedRun]) -> dict[str, list[DayRange]]:
    """Return the requested days by organization. Fails if a run contains two organizations."""
    found: dict[str, list[DayRange]] = {}
    for run in runs:
        (organization,) = run.organizations
        found.setdefault(organization, []).append(run.days)
    return found


def last(count: int, today: dt.date = TODAY) -> DayRange:
    return DayRange(today - (count - 1) * ONE_DAY, today)


@pytest.mark.parametrize(
    ("before", "tick", "days"),
    [
        pytest.param(at(TODAY, "10:10:00"), at(TODAY, "11:00:10"), last(2), id="intraday"),
        pytest.param(at(TODAY, "01:10:00"), at(TODAY, "01:30:10"), last(4), id="daily"),
        pytest.param(at(SUNDAY, "03:30:00"), at(SUNDAY, "04:00:10"), last(35, SUNDAY), id="weekly"),
        pytest.param(at(TODAY, "10:10:00"), at(SUNDAY, "23:10:00"), last(35, SUNDAY), id="after-an-outage"),
    ],
)
def test_refresh_of_two_organizations_is_one_run_each_with_all_checks(
    configure: Configure, read: dg.DagsterInstance, before: dt.datetime, tick: dt.datetime, days: DayRange
) -> None:
    runs, _ = requested_runs(definitions(configure), read, before, tick)
    assert days_by_organization(runs) == {"acme": [days], "beta": [days]}
    assert {asset for run in runs for asset in run.assets} == {
        f"{organization}/{asset}" for organization in ORGANIZATIONS for asset in ASSETS
    }
    assert_all_checks_are_evaluated(runs)


def test_first_load_evaluates_all_checks(configure: Configure, instance: dg.DagsterInstance) -> None:
    runs, _ = requested_runs(definitions(configure), instance, at(TODAY, "10:10:00"))
    assert days_by_organization(runs) == {name: [DayRange(START, TODAY)] for name in ORGANIZATIONS}
    assert_all_checks_are_evaluated(runs)


@pytest.mark.parametrize("usage", [True, False])
def test_request_for_a_single_day_evaluates_all_checks(
    configure: Configure, instance: dg.DagsterInstance, *, usage: bool
) -> None:
    runs, _ = requested_runs(definitions(configure, start=TODAY, usage=usage), instance, at(TODAY, "10:10:00"))
    assert {run.days for run in runs} == {DayRange(TODAY, TODAY)}
    assert {check.partition(":")[2] for run in runs for check in run.checks} >= {"anomalous_spend", "budgets"}
    for run in runs:
        checks = CHECKS if usage else {**CHECKS, "allocated_costs": {"anomalous_spend", "budgets"}}
        assert run.checks == {f"{asset}:{check}" for asset in run.assets for check in checks[asset.partition("/")[2]]}


def test_daily_refresh_of_one_trailing_day_evaluates_all_checks(configure: Configure, read: dg.DagsterInstance) -> None:
    one_day = definitions(configure, trailing_days=1, intraday_minutes=None)
    runs, _ = requested_runs(one_day, read, at(TODAY, "01:10:00"), at(TODAY, "01:30:10"))
    assert {run.days for run in runs} == {DayRange(TODAY, TODAY)}
    assert {organization for run in runs for organization in run.organizations} == set(ORGANIZATIONS)
    assert_all_checks_are_evaluated(runs)


def test_missing_day_that_is_requested_again_evaluates_all_checks(
    configure: Configure, instance: dg.DagsterInstance
) -> None:
    gap = TODAY - 9 * ONE_DAY
    for organization in ORGANIZATIONS:
        for asset in ASSETS:
            materialize(instance, organization, asset, *(day for day in DayRange(START, TODAY) if day != gap))
    runs, _ = requested_runs(definitions(configure, intraday_minutes=None), instance, at(TODAY, "01:10:00"))
    assert {run.days for run in runs} == {DayRange(gap, gap)}
    assert_all_checks_are_evaluated(runs)


def test_allocation_alone_evaluates_its_checks(configure: Configure, read: dg.DagsterInstance) -> None:
    both = definitions(configure)
    day = TODAY - 9 * ONE_DAY
    _, cursor = requested_runs(both, read, at(TODAY, "10:10:00"))
    materialize(read, "acme", "costs", day)
    (run,), _ = requested_runs(both, read, at(TODAY, "10:10:30"), cursor=cursor)
    assert (run.days, run.assets) == (DayRange(day, day), frozenset({"acme/allocated_costs"}))
    assert_all_checks_are_evaluated([run])


def test_refreshes_are_dequeued_before_manual_backfills(configure: Configure, read: dg.DagsterInstance) -> None:
    runs, _ = requested_runs(definitions(configure), read, at(TODAY, "10:10:00"), at(TODAY, "11:00:10"))
    assert {run.tags["dagster/priority"] for run in runs} == {"1"}
