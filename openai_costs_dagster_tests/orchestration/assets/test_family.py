"""Tests of runs of the assets `costs`, `usage` and `allocated_costs` together over a range of days."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from openai_costs_dagster import asset_paths
from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Budget, Configuration
from openai_costs_dagster.days import ONE_DAY, DayRange, utc_now
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.build import build_definitions, partitioned_asset_keys
from openai_costs_dagster.orchestration.partitions import range_tags
from openai_costs_dagster.orchestration.runs.worker import run_task
from openai_costs_dagster.simulator import Fault, FaultKind

from ...conftest import Configure
from ...simulator.full_organization import full_organization
from ...sync_fixtures import MakeSyncSetup
from ...sync_setup import SyncSetup, days
from ..launching import evaluations, materializations

DAYS = days(dt.date(2026, 2, 2), 8)
SETTLED = DAYS[-1]
ALLOCATED, USAGE = (
    asset_keys.allocated_costs_key(OrganizationName("acme")),
    asset_keys.usage_key(OrganizationName("acme")),
)
KEYS = {day.isoformat() for day in DAYS}


@pytest.fixture
def setup(make_sync_setup: MakeSyncSetup) -> SyncSetup:
    return make_sync_setup(full_organization())


def run(
    setup: SyncSetup,
    configure: Configure,
    instance: dg.DagsterInstance,
    requested_days: list[dt.date] = DAYS,
    **settings: Any,
) -> dg.ExecuteInProcessResult:
    organization = setup.organization.model_copy(update=settings)
    configuration: Configuration = configure(organization, database=setup.database)
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    keys = partitioned_asset_keys(organization) + (
        [asset_keys.directory_key(OrganizationName("acme"))] if organization.read_names else []
    )
    return job.execute_in_process(
        instance=instance,
        asset_selection=keys,
        tags=range_tags(DayRange(requested_days[0], requested_days[-1])),
        raise_on_error=False,
    )


def test_range_of_all_partitioned_assets_is_one_run(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    result = run(setup, configure, instance)
    assert result.success
    for key in (asset_keys.costs_key(OrganizationName("acme")), USAGE, ALLOCATED):
        assert set(materializations(instance, key)) == KEYS
    assert set(materializations(instance, asset_keys.directory_key(OrganizationName("acme")))) == {None}
    for check in (asset_paths.USAGE_MATCHES_BILL, asset_paths.COMPLETE, asset_paths.RECONCILES, asset_paths.LATEST_DAY):
        found = evaluations(result, check)
        assert set(found) == KEYS
        assert all(evaluation.passed for evaluation in found.values())


def test_users_and_their_budgets_are_evaluated_in_the_same_run(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    user = setup.simulated.users[0].id
    result = run(setup, configure, instance, budgets=(Budget(amount_usd=Decimal(1), user=user),))
    of_users = [
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.asset_key == ALLOCATED and evaluation.partition in KEYS
    ]
    assert {evaluation.check_name for evaluation in of_users} == {
        asset_paths.ANOMALOUS_SPEND,
        asset_paths.USAGE_MATCHES_BILL,
        asset_paths.BUDGETS,
    }
    assert setup.query("select spent > 0 from openai_costs.budget_status where scope = 'user'") == [(True,)]


def test_metadata_has_usage_totals_and_allocated_percentages(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    run(setup, configure, instance, DAYS[:2])
    for metadata in materializations(instance, USAGE).values():
        assert metadata["tokens"] > 0
        assert metadata["model_requests"] > 0
    for metadata in materializations(instance, ALLOCATED).values():
        assert 0 < metadata["to_users_percent"] < metadata["to_keys_percent"] <= 100
        assert metadata["unallocated_usd"] >= 0


def test_costs_are_allocated_without_usage(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    assert run(setup, configure, instance, DAYS[:2], usage=False, read_names=False).success
    assert {request.path for request in setup.simulator.requests} == {"/v1/organization/costs"}
    methods = {method for (method,) in setup.query("select distinct method from openai_costs.allocated_costs")}
    assert methods == {"billed", "unallocated"}


def test_failed_usage_does_not_fail_costs(setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance) -> None:
    for _ in range(10):
        setup.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE), path="/v1/organization/usage/completions")
    result = run(setup, configure, instance, DAYS[:2])
    assert not result.success
    assert set(materializations(instance)) == {day.isoformat() for day in DAYS[:2]}
    assert setup.stored() == setup.expected(DAYS[:2])
    assert run(setup, configure, instance, DAYS[:2]).success
    assert set(materializations(instance, ALLOCATED)) == {day.isoformat() for day in DAYS[:2]}


def test_missing_usage_warns_on_its_day(setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance) -> None:
    setup.simulated.restate_usage(
        SETTLED, lambda facts: tuple(fact for fact in facts if fact.operation != "completions")
    )
    found = evaluations(run(setup, configure, instance), asset_paths.USAGE_MATCHES_BILL)
    failed = {day for day, evaluation in found.items() if not evaluation.passed}
    assert failed == {SETTLED.isoformat()}
    assert found[SETTLED.isoformat()].severity == dg.AssetCheckSeverity.WARN
    assert "none counted" in str(found[SETTLED.isoformat()].description)


def test_price_change_is_a_finding_on_its_first_day(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    label = "gpt-5-mini-2025-08-07, input"

    def dearer(facts: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            replace(fact, amount=fact.amount * 2) if fact.line_item == label and fact.amount else fact for fact in facts
        )

    for day in DAYS[5:]:
        setup.simulated.restate(day, dearer)
    run(setup, configure, instance)
    found = setup.query(
        "select usage_date, line_item, direction, reason, impact, explanation from openai_costs.anomalies"
        " where level = 'line item'"
    )
    assert [(day, item, direction, reason) for day, item, direction, reason, _, _ in found] == [
        (DAYS[5], label, "up", "price")
    ]
    spent = sum(fact.amount or Decimal(0) for fact in setup.simulated.facts(DAYS[5]) if fact.line_item == label)
    assert abs(found[0][4] - spent / 2) < Decimal("0.000001")
    assert "rose by 100.0%" in found[0][5]


def test_costs_are_allocated_if_usage_failed(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    for _ in range(10):
        setup.simulator.faults.queue(Fault(FaultKind.UNAVAILABLE), path="/v1/organization/usage/completions")
    job = build_definitions(configure(setup.organization, database=setup.database)).get_repository_def()
    task = {"first": DAYS[0].isoformat(), "last": DAYS[1].isoformat(), "tags": {}}
    result = run_task(job.get_implicit_global_asset_job_def(), instance, setup.organization, task)
    assert not result["success"]
    assert "completions" in result["error"]
    assert set(materializations(instance, ALLOCATED)) == {day.isoformat() for day in DAYS[:2]}


def test_days_that_have_not_begun_do_not_fail_the_run(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    """The clock of this machine is a day ahead of OpenAI, so OpenAI has no data for the newest partition."""
    setup.simulator.clock = lambda: utc_now() - ONE_DAY
    requested_days = days(utc_now().date() - 3 * ONE_DAY, 4)
    keys = {day.isoformat() for day in requested_days}
    result = run(setup, configure, instance, requested_days)
    assert result.success
    assert setup.stored_days() == requested_days[:-1]
    for key in (asset_keys.costs_key(OrganizationName("acme")), USAGE, ALLOCATED):
        found = materializations(instance, key)
        assert set(found) == keys
        marked = {day for day, metadata in found.items() if {"not_started", "left_out"} & set(metadata)}
        assert marked == {requested_days[-1].isoformat()}
    checks = evaluations(result, asset_paths.COMPLETE)
    assert set(checks) == keys - {requested_days[-1].isoformat()}
    assert all(check.passed for check in checks.values())
