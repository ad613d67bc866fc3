"""Tests of the stored sensor ticks and dead runs, which `openai-costs status` shows."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.test_utils import create_run_for_test, instance_for_test

from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.sensors import tick_records
from openai_costs_dagster.orchestration.sensors.alerts import alert_sensor
from openai_costs_dagster.orchestration.sensors.late_days import late_days_sensor
from openai_costs_dagster.orchestration.sharding import WHOLE, Shard
from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.sensor_ticks import SensorTick

from ...conftest import NOW, Clock, Configure

Context = dg.SensorEvaluationContext


@pytest.fixture
def configuration(configure: Configure, database: Database) -> Configuration:
    organizations = (Organization(name=name, admin_key=SecretReference(env=f"KEY_{name}")) for name in ("acme", "beta"))
    return configure(*organizations, database=database)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with file storage and run retries, shared by all tests of the module."""
    with instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 2}}) as instance:
        yield instance


def context_in(location: str, instance: dg.DagsterInstance) -> Context:
    return Mock(Context, instance=instance, code_location_origin=origin(location), repository_name="__repository__")


def origin(location: str) -> GrpcServerCodeLocationOrigin:
    return GrpcServerCodeLocationOrigin(host="localhost", socket=f"{location}.sock", location_name=location)


def test_every_tick_of_a_sensor_is_recorded(configuration: Configuration, database: Database) -> None:
    for sensor in (alert_sensor(configuration, running=True), late_days_sensor(configuration, running=True)):
        with dg.DagsterInstance.ephemeral() as own, dg.build_sensor_context(own, repository_name="costs") as context:
            sensor.evaluate_tick(context)
    with database.connect() as connection:
        found = sensor_ticks.all_ticks(connection)
    assert [
        (recorded_tick.sensor, recorded_tick.interval_seconds, recorded_tick.last_error) for recorded_tick in found
    ] == [
        ("openai_costs_alerts", 15, None),
        ("openai_costs_late_days", 300, None),
    ]
    for recorded_tick in found:
        assert (recorded_tick.location, recorded_tick.host, recorded_tick.organizations) == (
            "costs",
            platform.node(),
            ["acme", "beta"],
        )


@pytest.mark.parametrize(
    ("error", "completes", "stored"),
    [
        (dg.Failure("not delivered: chat"), True, "not delivered: chat"),
        (ValueError("no key sk-admin-secret works"), False, "no key [redacted] works"),
    ],
)
def test_tick_that_raises_counts_as_completed_only_with_a_dagster_failure(
    configuration: Configuration,
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    completes: bool,
    stored: str,
) -> None:
    monkeypatch.setattr(tick_records, "utc_now", clock)
    context = context_in("costs", dg.DagsterInstance.ephemeral())

    def tick(*errors: Exception) -> None:
        with tick_records.recorded(context, database, configuration, "openai_costs_alerts", 15):
            for failure in errors:
                raise failure

    tick()
    clock.now += dt.timedelta(minutes=1)
    with pytest.raises(type(error)):
        tick(error)
    with database.connect() as connection:
        (found,) = sensor_ticks.all_ticks(connection)
        sensor_ticks.delete_old(connection, clock.now + dt.timedelta(days=31))
        assert sensor_ticks.all_ticks(connection) == []
    assert found.last_tick_at == (clock.now if completes else NOW)
    assert found.last_error == stored


# Ticks of the refresh sensor, which Dagster itself records


def refreshed(instance: dg.DagsterInstance, sensor: str, location: str, at: dt.datetime, *, interval: int = 30) -> None:
    of = RemoteInstigatorOrigin(RemoteRepositoryOrigin(origin(location), "__repository__"), sensor)
    data = SensorInstigatorData(last_tick_timestamp=at.timestamp(), min_interval=interval)
    instance.add_instigator_state(InstigatorState(of, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data))


Recorded = Callable[..., list[SensorTick]]


@pytest.fixture
def recorded(instance: dg.DagsterInstance, configuration: Configuration, connection: Connection) -> Recorded:
    def record(sensor: str, location: str, shard: Shard = WHOLE) -> list[SensorTick]:
        context = context_in(location, instance)
        tick_records.record_refreshes(context, connection, configuration, shard, sensor=sensor)
        return sensor_ticks.all_ticks(connection)

    return record


def test_refresh_ticks_of_the_own_code_location_are_recorded(instance: dg.DagsterInstance, recorded: Recorded) -> None:
    assert recorded("refresh", "costs") == []
    refreshed(instance, "refresh", "another", NOW)
    assert recorded("refresh", "costs") == []
    refreshed(instance, "refresh", "costs", NOW - dt.timedelta(minutes=3), interval=60)
    (found,) = recorded("refresh", "costs")
    assert (found.location, found.sensor, found.interval_seconds) == ("costs", "refresh", 60)
    assert found.last_tick_at == NOW - dt.timedelta(minutes=3)


def test_oldest_tick_of_several_code_locations_counts(instance: dg.DagsterInstance, recorded: Recorded) -> None:
    shard = Shard(1, 2)
    refreshed(instance, "divided", "costs_1", NOW)
    assert recorded("divided", "costs_1", shard) == []
    refreshed(instance, "divided", "costs_2", NOW - dt.timedelta(hours=1))
    # This tick is older than the division into shards.
    refreshed(instance, "divided", "costs", NOW - dt.timedelta(days=9))
    (found,) = recorded("divided", "costs_1", shard)
    assert found.last_tick_at == NOW - dt.timedelta(hours=1)


# Dead runs


Died = Callable[[dg.DagsterRun], list[sensor_ticks.DeadRun]]


@pytest.fixture
def died(instance: dg.DagsterInstance, configuration: Configuration, connection: Connection) -> Died:
    def recorded(run: dg.DagsterRun) -> list[sensor_ticks.DeadRun]:
        context = context_in("costs", instance)
        tick_records.record_dead_runs(context, connection, configuration, sensor="openai_costs_alerts")
        found = sensor_ticks.dead_runs(connection, NOW - dt.timedelta(days=1))
        return [dead_run for dead_run in found if dead_run.run_id == run.run_id]

    return recorded


def started(instance: dg.DagsterInstance, *keys: dg.AssetKey) -> dg.DagsterRun:
    run: dg.DagsterRun = create_run_for_test(
        instance, status=dg.DagsterRunStatus.STARTED, asset_selection=frozenset(keys)
    )
    return run


def test_run_whose_process_is_gone_is_recorded_once(instance: dg.DagsterInstance, died: Died) -> None:
    run = started(
        instance,
        asset_keys.costs_key(OrganizationName("acme")),
        asset_keys.usage_key(OrganizationName("acme")),
    )
    instance.report_run_failed(run, "Detected run worker status NOT_FOUND: its process is gone.")
    (found,) = died(run)
    assert (found.organization, found.is_retried) == ("acme", True)
    assert found.reason == "Detected run worker status NOT_FOUND: its process is gone."
    assert died(run) == [found]


def test_run_that_was_never_started_is_recorded(instance: dg.DagsterInstance, died: Died) -> None:
    run = started(instance, dg.AssetKey(["openai", "spend_report"]))
    timed_out = JobFailureData(error=None, failure_reason=RunFailureReason.START_TIMEOUT)
    instance.report_run_failed(run, "Run timed out due to taking longer than 900 seconds to start.", timed_out)
    (found,) = died(run)
    assert found.organization is None


@pytest.mark.parametrize("reason", [RunFailureReason.STEP_FAILURE, RunFailureReason.RUN_EXCEPTION])
def test_run_that_reported_its_failure_is_not_recorded(
    instance: dg.DagsterInstance, died: Died, reason: RunFailureReason
) -> None:
    run = started(instance, asset_keys.costs_key(OrganizationName("acme")))
    instance.report_run_failed(run, "Steps failed.", JobFailureData(error=None, failure_reason=reason))
    assert died(run) == []


def test_runs_of_other_assets_are_not_recorded(instance: dg.DagsterInstance, died: Died) -> None:
    run = started(instance, dg.AssetKey(["warehouse", "orders"]))
    instance.report_run_failed(run, "It is gone.")
    assert died(run) == []
