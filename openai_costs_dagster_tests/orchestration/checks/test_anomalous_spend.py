"""Tests of the asset check `anomalous_spend`: warnings, expected ranges and metadata."""

import datetime as dt
from decimal import Decimal

import dagster as dg
import pytest

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Anomalies, Configuration
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.monitoring.anomalies import evaluate_days
from openai_costs_dagster.orchestration import partitions
from openai_costs_dagster.orchestration.build import build_definitions

from ...conftest import Clock, Configure
from ...sync_fixtures import MakeSyncSetup
from ...sync_setup import SyncSetup, days, small_organization
from ..launching import KEY, evaluations, plain_values, run

pytestmark = pytest.mark.usefixtures("runs_at_the_clock")

START = dt.date(2026, 1, 5)
SPIKE = dt.date(2026, 2, 18)
HISTORY = days(START, 50)


@pytest.fixture
def setup(make_sync_setup: MakeSyncSetup) -> SyncSetup:
    return make_sync_setup(small_organization(users_with_projects_served=True), start_date=START)


@pytest.fixture
def configuration(setup: SyncSetup, configure: Configure) -> Configuration:
    return configure(setup.organization, database=setup.database)


def day_results(result: dg.ExecuteInProcessResult) -> dict[str | None, dg.AssetCheckEvaluation]:
    return evaluations(result, asset_paths.ANOMALOUS_SPEND)


def test_spike_and_drop_warn_and_other_days_pass(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    drop = SPIKE + 2 * ONE_DAY
    setup.simulated.plant_anomaly(SPIKE, 4)
    setup.simulated.plant_anomaly(drop, Decimal("0.05"))
    setup.ingest(HISTORY)
    result = run(configuration, instance, days(SPIKE - 3 * ONE_DAY, 7))
    assert result.success
    found = day_results(result)
    assert len(found) == 7
    assert {day for day, evaluation in found.items() if not evaluation.passed} == {SPIKE.isoformat(), drop.isoformat()}
    assert {evaluation.severity for evaluation in found.values()} == {dg.AssetCheckSeverity.WARN}
    spike = found[SPIKE.isoformat()]
    values = plain_values(spike.metadata)
    for prefix in ("organization", "series"):
        figures = [values[f"{prefix}_{name}_usd"] for name in ("lower", "expected", "upper", "spend")]
        assert figures == sorted(figures)
    assert str(spike.description).startswith("Up $")


def test_drop_on_a_provisional_day_is_not_reported(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance, clock: Clock
) -> None:
    setup.ingest(days(START, (clock.today - START).days))
    today = day_results(run(configuration, instance, [clock.today]))[clock.today.isoformat()]
    values = plain_values(today.metadata)
    assert values["organization_spend_usd"] < values["organization_expected_usd"]
    assert today.passed


def test_settled_day_that_became_empty_is_flagged(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    setup.ingest(HISTORY)
    setup.simulated.clear_day(SPIKE)
    found = day_results(run(configuration, instance, [SPIKE]))[SPIKE.isoformat()]
    assert not found.passed
    assert "no costs for the day in two consecutive responses" in str(found.description)


def test_day_with_short_history_passes_unevaluated(configuration: Configuration, instance: dg.DagsterInstance) -> None:
    found = day_results(run(configuration, instance, HISTORY[:14]))
    assert all(evaluation.passed for evaluation in found.values())
    assert all(str(evaluation.description).startswith("Not evaluated:") for evaluation in found.values())


def test_sensitivity_and_minimum_impact_are_configurable(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    setup.simulated.plant_anomaly(SPIKE, Decimal("1.7"))
    setup.ingest(HISTORY)

    def flagged(**settings: object) -> bool:
        anomalies = Anomalies.model_validate(settings)
        configuration = configure(setup.organization, database=setup.database, anomalies=anomalies)
        found = day_results(run(configuration, instance, [SPIKE]))
        return not found[SPIKE.isoformat()].passed

    assert flagged(sensitivity="high")
    assert not flagged(sensitivity="low")
    assert not flagged(sensitivity="high", minimum_impact_usd=Decimal(100_000))


def test_check_without_partition_evaluates_the_trailing_days(
    setup: SyncSetup,
    configuration: Configuration,
    instance: dg.DagsterInstance,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # "Execute all" on the asset's checks names no partition.
    trailing = days(clock.today - 3 * ONE_DAY, 4)
    run(configuration, instance, days(clock.today - 9 * ONE_DAY, 10))
    monkeypatch.setattr(partitions, "utc_now", clock)
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    check = dg.AssetCheckKey(KEY, asset_paths.ANOMALOUS_SPEND)
    subset = job.get_subset(asset_selection=set(), asset_check_selection={check})
    result = subset.execute_in_process(instance=instance)
    assert result.success
    found = day_results(result)
    assert sorted(map(str, found)) == [day.isoformat() for day in trailing]
    assert all(evaluation.target_materialization_data for evaluation in found.values())


def test_days_that_are_not_stored_are_not_evaluated(setup: SyncSetup, configuration: Configuration) -> None:
    setup.ingest(HISTORY)
    with setup.database.connect() as connection:
        connection.execute("delete from openai_costs.cost_days where usage_date = %s", [SPIKE])
        stored = evaluate_days(connection, setup.organization.name, configuration.anomalies, days(SPIKE - ONE_DAY, 3))
    assert list(stored) == [SPIKE - ONE_DAY, SPIKE + ONE_DAY]
