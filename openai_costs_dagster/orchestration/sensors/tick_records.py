"""Records the ticks of sensors and the runs whose process died in the warehouse, for `openai-costs status`."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import RunFailureReason
from dagster._core.launcher import WorkerStatus
from dagster._core.scheduler.instigation import InstigatorState, SensorInstigatorData
from dagster._core.storage.tags import RUN_FAILURE_REASON_TAG, WILL_RETRY_TAG

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.runtime.run_launcher import RunLauncher
from openai_costs_dagster.orchestration.sharding import Shard
from openai_costs_dagster.redaction import redact
from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.errors import WarehouseError
from openai_costs_dagster.warehouse.sensor_ticks import DeadRun, Sensor, SensorTick

# Dagster may make the failure of a run visible some time after its timestamp, so each tick also covers some minutes
# before the last tick.
_OVERLAP = dt.timedelta(minutes=10)
_FIRST_PERIOD = dt.timedelta(days=1)
_RUN_FAILED_ITSELF = {
    RunFailureReason.RUN_EXCEPTION.value,
    RunFailureReason.STEP_FAILURE.value,
    RunFailureReason.JOB_INITIALIZATION_FAILURE.value,
}
"""Failure reasons that the process of a run reports itself.

Any other reason means that the process died or never started.
"""


def location_of(context: dg.SensorEvaluationContext) -> str:
    """Return the name of the code location to which the evaluated sensor belongs."""
    origin = context.code_location_origin
    return origin.location_name if origin else context.repository_name or "unknown"


@contextmanager
def recorded(
    context: dg.SensorEvaluationContext, database: Database, configuration: Configuration, sensor: str, interval: int
) -> Iterator[None]:
    """Record a tick of a sensor when the `with` block ends: its time, or the error that the block raised.

    A `dagster.Failure` counts as a completed tick, because the sensor completed its work and reports a problem outside
    of itself. Any other error leaves the time of the last completed tick unchanged, so that `openai-costs status` fails
    if the errors continue.
    """
    key = Sensor(location_of(context), platform.node(), sensor)
    try:
        yield
    except Exception as error:
        with suppress(WarehouseError), database.connect() as connection:
            message = redact(str(error))
            if isinstance(error, dg.Failure):
                sensor_ticks.record_tick(connection, _tick(key, configuration, interval, error.description or message))
            else:
                sensor_ticks.record_error(connection, key, message)
        raise
    with database.connect() as connection:
        sensor_ticks.record_tick(connection, _tick(key, configuration, interval, None))


def record_refreshes(
    context: dg.SensorEvaluationContext,
    connection: Connection,
    configuration: Configuration,
    shard: Shard,
    *,
    sensor: str,
) -> None:
    """Copy the time of the last tick of the refresh sensor from Dagster's storage to the warehouse.

    Dagster's daemon evaluates automation conditions itself, so our code does not run in a tick of that sensor. With
    several shards, each code location has a refresh sensor, and the sensor with the oldest tick counts.
    """
    if context.instance.schedule_storage is None:
        return
    location = location_of(context)
    states = [
        state.instigator_data
        for state in context.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        if state.instigator_name == sensor and (shard.count > 1 or _location_of(state) == location)
    ]
    ticks = sorted(
        (
            (data.last_tick_timestamp, data.min_interval or 0)
            for data in states
            if isinstance(data, SensorInstigatorData) and data.last_tick_timestamp
        ),
        reverse=True,
    )
    # A sensor that has never ticked has no time. The oldest tick is therefore unknown until the sensors of all shards
    # have ticked.
    if len(ticks) < shard.count:
        return
    timestamp, interval = ticks[shard.count - 1]
    sensor_ticks.record_tick(
        connection,
        SensorTick(
            location=location,
            host=platform.node(),
            sensor=sensor,
            organizations=sorted(configuration.organizations),
            interval_seconds=int(interval),
            last_tick_at=dt.datetime.fromtimestamp(timestamp, dt.UTC),
        ),
    )


def end_dead_runs(instance: dg.DagsterInstance, configuration: Configuration) -> None:
    """Fail runs whose process died before the run started, so that Dagster retries them.

    Dagster's run monitoring only checks the processes of runs that have started. For other runs it waits for
    `start_timeout_seconds`.
    """
    launcher = instance.run_launcher
    # A launcher of another class may report a run that is about to start as dead, and a healthy run would fail.
    if not isinstance(launcher, RunLauncher):
        return
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])):
        if _is_ours(run, configuration) and launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND:
            # The run may have started during the check of its process, so its status is read again.
            known = instance.get_run_by_id(run.run_id)
            if known and known.status is dg.DagsterRunStatus.STARTING:
                instance.report_run_failed(known, "The process of this run died before the run began.")


def record_dead_runs(
    context: dg.SensorEvaluationContext, connection: Connection, configuration: Configuration, *, sensor: str
) -> None:
    """Record the runs that Dagster has failed since the last tick because their process died."""
    known = sensor_ticks.last_tick_at(connection, location_of(context), sensor)
    since = known - _OVERLAP if known else utc_now() - _FIRST_PERIOD
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    for record in context.instance.get_run_records(filters):
        run = record.dagster_run
        if run.tags.get(RUN_FAILURE_REASON_TAG) in _RUN_FAILED_ITSELF or not _is_ours(run, configuration):
            continue
        ended = dt.datetime.fromtimestamp(record.end_time, dt.UTC) if record.end_time else utc_now()
        reason = _reason(context.instance, run)
        is_retried = run.tags.get(WILL_RETRY_TAG) == "true"
        sensor_ticks.record_dead_run(
            connection, DeadRun(run.run_id, _organization(run, configuration), ended, reason, is_retried)
        )


def _tick(key: Sensor, configuration: Configuration, interval: int, error: str | None) -> SensorTick:
    return SensorTick(
        location=key.location,
        host=key.host,
        sensor=key.sensor,
        organizations=sorted(configuration.organizations),
        interval_seconds=interval,
        last_tick_at=utc_now(),
        last_error=error,
    )


def _location_of(state: InstigatorState) -> str:
    return state.origin.repository_origin.code_location_origin.location_name


def _is_ours(run: dg.DagsterRun, configuration: Configuration) -> bool:
    prefix = list(configuration.asset_key_prefix)
    return any(key.path[: len(prefix)] == prefix for key in run.asset_selection or ())


def _organization(run: dg.DagsterRun, configuration: Configuration) -> str | None:
    """Return the organization whose assets a run materializes, or None if its assets cover all organizations."""
    names = {asset_keys.organization_of(key, configuration.asset_key_prefix) for key in run.asset_selection or ()}
    return next((name for name in names if name in configuration.organizations), None)


def _reason(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return the message with which Dagster marked a run as failed, without secrets."""
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return redact(events[-1].dagster_event.message or "") if events and events[-1].dagster_event else ""
