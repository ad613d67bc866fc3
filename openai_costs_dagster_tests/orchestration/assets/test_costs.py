"""Tests of runs of the asset `costs`: materializations and check results of each day, and failed days."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import dagster as dg
import pytest

from openai_costs_dagster import asset_paths
from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Configuration, Refresh
from openai_costs_dagster.days import ONE_DAY, unix_midnight
from openai_costs_dagster.orchestration import asset_keys, progress
from openai_costs_dagster.simulator import Deviations, Fault, FaultKind
from openai_costs_dagster.simulator.queries import Query

from ...conftest import Clock, Configure
from ...sync_fixtures import MakeSyncSetup
from ...sync_setup import SyncSetup, days, small_organization
from ..launching import KEY, evaluations, materializations, run

pytestmark = pytest.mark.usefixtures("runs_at_the_clock")

START = dt.date(2026, 1, 5)
WEEK = days(dt.date(2026, 2, 2), 7)
RETRY = "dagster/retry_on_asset_or_op_failure"


@pytest.fixture
def setup(make_sync_setup: MakeSyncSetup) -> SyncSetup:
    return make_sync_setup(small_organization(users_with_projects_served=True), start_date=START)


@pytest.fixture
def configuration(setup: SyncSetup, configure: Configure) -> Configuration:
    return configure(setup.organization, database=setup.database)


def texts(requested_days: list[dt.date]) -> list[str]:
    return [day.isoformat() for day in requested_days]


def test_range_is_one_run_that_materializes_each_day(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    result = run(configuration, instance, WEEK)
    assert result.success
    assert setup.stored() == setup.expected(WEEK)
    found = materializations(instance)
    assert list(found) == texts(WEEK)
    spent = dict(setup.query("select usage_date, sum(amount) from openai_costs.daily_costs group by 1"))
    rows = dict(setup.query("select usage_date, count(*) from openai_costs.daily_costs group by 1"))
    for day in WEEK:
        values = found[day.isoformat()]
        assert Decimal(str(values["spend_exact"]).removesuffix(" USD")) == spent[day]
        assert values["spend_usd"] == pytest.approx(float(spent[day]), abs=0.0001)
        assert values["dagster/partition_row_count"] == rows[day]
        assert (values["provisional"], values["grouping"]) == (False, "project,user,line_item,api_key")
        assert "change_usd" not in values
    assert len(instance.get_runs()) == 1


def test_range_has_one_check_result_per_check_and_day(
    configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    result = run(configuration, instance, WEEK)
    storage_ids = {
        record.partition_key: record.storage_id for record in instance.fetch_materializations(KEY, limit=100).records
    }
    for check in (asset_paths.COMPLETE, asset_paths.RECONCILES, asset_paths.ANOMALOUS_SPEND):
        found = evaluations(result, check)
        assert sorted(map(str, found)) == texts(WEEK)
        assert all(evaluation.passed for evaluation in found.values())
        for day, evaluation in found.items():
            target = evaluation.target_materialization_data
            assert target
            assert (target.storage_id, target.run_id) == (storage_ids[day], result.run_id)


def test_reconciles_shows_the_exact_total_and_the_difference(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    result = run(configuration, instance, WEEK[:1])
    [evaluation] = evaluations(result, asset_paths.RECONCILES).values()
    [(spent,)] = setup.query("select sum(amount) from openai_costs.daily_costs")
    metadata = {name: value.value for name, value in evaluation.metadata.items()}
    assert Decimal(str(metadata["rows_total"]).removesuffix(" USD")) == spent
    assert Decimal(str(metadata["difference"])) == 0
    assert metadata["difference_rounded"] == 0


def test_range_of_one_day_is_one_run(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    result = run(configuration, instance, WEEK[:1])
    assert result.success
    assert list(materializations(instance)) == texts(WEEK[:1])
    assert setup.stored_days() == WEEK[:1]


def test_single_partition_key_is_one_run(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    # The asset page of the Dagster UI starts a single day as a partition key instead of a range.
    result = run(configuration, instance, WEEK[0])
    assert result.success
    assert setup.stored_days() == WEEK[:1]
    assert sorted(map(str, evaluations(result, asset_paths.ANOMALOUS_SPEND))) == texts(WEEK[:1])


def test_day_without_spend_is_materialized_without_rows(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    setup.simulated.clear_day(WEEK[0])
    assert run(configuration, instance, WEEK).success
    assert materializations(instance)[WEEK[0].isoformat()]["dagster/partition_row_count"] == 0


def failing_on(setup: SyncSetup, day: dt.date, fault: Fault) -> Callable[[Query], None]:
    def script(query: Query) -> None:
        if query["start_time"] == [str(unix_midnight(day))] and "group_by" in query:
            setup.simulator.faults.queue(fault)

    return script


@pytest.fixture
def earlier(setup: SyncSetup) -> list[dt.date]:
    """Stored days around 6 December 2025, the first day with costs by API key. The days are two sync windows."""
    setup.organization = setup.organization.model_copy(update={"start_date": dt.date(2025, 12, 1)})
    requested_days = days(dt.date(2025, 12, 3), 6)
    setup.ingest(requested_days)
    return requested_days


def test_failed_days_of_a_range_are_not_materialized(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, earlier: list[dt.date]
) -> None:
    configuration = configure(setup.organization, database=setup.database)
    bad, good = earlier[:3], earlier[3:]
    setup.simulator.script = failing_on(setup, bad[0], Fault(FaultKind.UNAVAILABLE))
    result = run(configuration, instance, earlier)
    assert not result.success
    assert list(materializations(instance)) == texts(good)
    complete = evaluations(result, asset_paths.COMPLETE)
    assert {day for day, evaluation in complete.items() if evaluation.passed} == set(texts(good))
    for day in texts(bad):
        assert complete[day].severity is dg.AssetCheckSeverity.ERROR
        assert "the server returned status 503" in str(complete[day].description)
    assert set(evaluations(result, asset_paths.RECONCILES)) == set(texts(good))
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert "3 of 6 days were not stored. 2025-12-03..2025-12-05: the server returned status 503" in str(
        failure.step_failure_data
    )
    record = instance.get_run_by_id(result.run_id)
    assert record
    assert record.status is dg.DagsterRunStatus.FAILURE
    assert RETRY not in record.tags  # The failure is transient, so Dagster may retry the run.

    setup.simulator.script = lambda _: None
    setup.simulator.faults.clear()
    assert run(configuration, instance, bad).success
    assert sorted(map(str, materializations(instance))) == texts(earlier)
    assert setup.stored() == setup.expected(earlier)


def test_permanent_failure_is_not_retried_by_dagster(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    setup.simulated.revoke_key()
    result = run(configuration, instance, WEEK)
    assert not result.success
    record = instance.get_run_by_id(result.run_id)
    assert record
    assert record.tags[RETRY] == "false"
    assert materializations(instance) == {}
    assert len(setup.simulator.requests) <= 2
    assert [evaluation.passed for evaluation in evaluations(result, asset_paths.COMPLETE).values()] == [False] * 7


def test_unavailable_postgres_fails_the_run_with_retries(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    configuration = configure(setup.organization, database="postgresql://127.0.0.1:1/x")
    result = run(configuration, instance, WEEK)
    assert not result.success
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert "is PostgreSQL running there" in str(failure.step_failure_data)
    record = instance.get_run_by_id(result.run_id)
    assert record
    assert RETRY not in record.tags


def test_missing_database_url_fails_the_run_without_retries(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    assert configuration.database
    assert configuration.database.url.file
    configuration.database.url.file.unlink()
    result = run(configuration, instance, WEEK)
    record = instance.get_run_by_id(result.run_id)
    assert record
    assert (result.success, record.tags[RETRY]) == (False, "false")


def test_difference_is_an_error_on_settled_and_a_warning_on_provisional_days(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance, clock: Clock
) -> None:
    settled, provisional = clock.today - 5 * ONE_DAY, clock.today - ONE_DAY
    facts = {day: setup.simulated.facts(day) for day in (settled, provisional)}

    def bill_otherwise(query: Query) -> None:
        for day, rows in facts.items():
            cent = replace(rows[0], amount=Decimal("0.01"))
            shown = rows if "group_by" in query else (*rows, cent)
            setup.simulated.restate(day, lambda _, shown=shown: shown)  # type: ignore[misc]

    setup.simulator.script = bill_otherwise
    result = run(configuration, instance, days(settled, 5))
    assert result.success  # A difference never prevents the storage of a day.
    found = evaluations(result, asset_paths.RECONCILES)
    bad = {day: evaluation.severity for day, evaluation in found.items() if not evaluation.passed}
    assert bad == {
        settled.isoformat(): dg.AssetCheckSeverity.ERROR,
        provisional.isoformat(): dg.AssetCheckSeverity.WARN,
    }
    assert "-0.01" in str(found[settled.isoformat()].description)


def test_rows_without_amount_are_counted_and_warn(
    make_sync_setup: MakeSyncSetup, configure: Configure, instance: dg.DagsterInstance
) -> None:
    setup = make_sync_setup(deviations=Deviations.none(), start_date=START)
    setup.simulated.restate(WEEK[0], lambda facts: (replace(facts[0], line_item="free", amount=None), *facts[1:]))
    result = run(configure(setup.organization, database=setup.database), instance, WEEK[:1])
    assert result.success
    evaluation = evaluations(result, asset_paths.COMPLETE)[WEEK[0].isoformat()]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert materializations(instance)[WEEK[0].isoformat()]["rows_without_amount"] == 1


def test_metadata_has_the_change_since_the_stored_version(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    run(configuration, instance, WEEK[:2])
    fact = setup.simulated.facts(WEEK[0])[0]
    setup.simulated.restate(WEEK[0], lambda facts: (replace(fact, amount=(fact.amount or 0) + Decimal(3)), *facts[1:]))
    run(configuration, instance, WEEK[:2])
    changes = [materializations(instance)[day]["change_usd"] for day in texts(WEEK[:2])]
    assert changes == [3.0, 0.0]


@pytest.mark.parametrize(
    ("tags", "trigger"),
    [
        ({}, "manual"),
        ({"dagster/backfill": "abcdefgh"}, "backfill"),
        ({"dagster/from_automation_condition": "true"}, "schedule"),
        ({"dagster/schedule_name": "every_morning"}, "schedule"),
        ({asset_keys.TRIGGER_TAG: "schedule", "dagster/backfill": "abcdefgh"}, "schedule"),
        ({"dagster/from_automation_condition": "true", "dagster/backfill": "abcdefgh"}, "schedule"),
    ],
)
def test_trigger_of_a_run_is_stored(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance, tags: dict[str, str], trigger: str
) -> None:
    result = run(configuration, instance, WEEK[:1], tags=tags)
    assert setup.query("select trigger, run_id from openai_costs.sync_windows") == [(trigger, result.run_id)]


def test_settle_hours_are_configurable(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, clock: Clock
) -> None:
    yesterday = clock.today - ONE_DAY
    for hours, provisional in ((24, True), (14, False)):
        configuration = configure(setup.organization, database=setup.database, refresh=Refresh(settle_hours=hours))
        run(configuration, instance, [yesterday])
        assert materializations(instance)[yesterday.isoformat()]["provisional"] is provisional


def test_listener_receives_progress_of_a_run(
    setup: SyncSetup, configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    received: list[progress.Progress] = []
    with progress.listening(received.append):
        run(configuration, instance, WEEK)
    assert {event.organization for event in received} == {"acme"}
    assert sum(event.days_done for event in received) == 7
    (summary,) = (event.finished for event in received if event.finished)
    assert (summary["stored"], summary["failed"], summary["requests"]) == (7, {}, len(setup.simulator.requests))


def test_organizations_are_stored_separately(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, make_sync_setup: MakeSyncSetup
) -> None:
    other = make_sync_setup(
        small_organization(organization_id="org-BETA", admin_key="sk-admin-simulated-beta", seed=7),
        name="beta",
        start_date=START,
    )
    configuration = configure(setup.organization, other.organization, database=setup.database)
    for name in ("acme", "beta"):
        assert run(configuration, instance, WEEK, key=asset_keys.costs_key(OrganizationName(name))).success
    assert setup.stored() == setup.expected(WEEK)
    assert other.stored() == other.expected(WEEK)
