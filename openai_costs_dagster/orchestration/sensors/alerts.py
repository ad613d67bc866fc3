"""The sensor that brings alerts to their channels: polled, each delivery committed by itself, red while one fails."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
import datetime as dt

import dagster as dg

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.sensors import tick_records
from openai_costs_dagster.orchestration.sharding import WHOLE, Shard
from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Database

_INTERVAL = 15  # seconds
_LONGEST = dt.timedelta(seconds=30)  # a tick has 60, and what was begun may take 10 more


def alert_sensor(configuration: Configuration, *, running: bool, shard: Shard = WHOLE) -> dg.SensorDefinition:
    """Makes it; `running` unless someone switches it off.

    Each tick also records the refreshing sensor's ticks and dead runs, and requests `heartbeat_url` when it is due.
    `shard` is the shard that this code location serves.
    """
    sensor = asset_keys.alert_sensor_name(configuration)

    @dg.sensor(
        name=sensor,
        minimum_interval_seconds=_INTERVAL,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Delivers what people are to be told; what a channel does not take is tried again later.",
        target=None,
    )
    def deliver_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        # Apprise takes a quarter of a second to import, which a run that delivers nothing need not wait for.
        from openai_costs_dagster.alerts import delivery
        from openai_costs_dagster.alerts.routing import routes

        channels, database = routes(configuration), database_access.database(configuration)
        database.prepare()
        with tick_records.recorded(context, database, configuration, sensor, _INTERVAL):
            routed = delivery.route(database, channels, utc_now())
            done = delivery.deliver(database, channels, configuration.dagster_url, utc_now, utc_now() + _LONGEST)
            _monitor(context, database, configuration, shard)
            if done.failed:
                said = "; ".join(f"{channel}: {reason}" for channel, reason in sorted(done.failed.items()))
                context.log.warning("not delivered, tried again later: %s", said)
                raise dg.Failure(f"{done.sent} messages were delivered; not delivered, tried again later: {said}")
        return dg.SkipReason(f"{routed} alerts routed, {done.sent} messages delivered")

    return deliver_alerts


def _monitor(
    context: dg.SensorEvaluationContext, database: Database, configuration: Configuration, shard: Shard
) -> None:
    """Records what `status` reads, and requests `heartbeat_url` after a complete morning."""
    from openai_costs_dagster.alerts.heartbeat import send_heartbeat

    with database.connect() as connection:
        tick_records.record_refreshes(
            context, connection, configuration, shard, sensor=asset_keys.refresh_sensor_name(configuration)
        )
        tick_records.end_dead_runs(context.instance, configuration)
        tick_records.record_dead_runs(
            context, connection, configuration, sensor=asset_keys.alert_sensor_name(configuration)
        )
        sensor_ticks.delete_old(connection, utc_now())
    send_heartbeat(database, configuration, tick_records.location_of(context), utc_now)
