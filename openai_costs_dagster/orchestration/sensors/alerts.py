"""The sensor that sends recorded alerts to their channels. `alerts/delivery.py` implements the delivery.

A tick fails if a channel does not accept a message, so that Dagster's UI shows the problem. Each delivered message is
committed on its own, and the next tick sends the remaining messages.
"""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
import datetime as dt

import dagster as dg

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.runtime.instance import UI_URL_VARIABLE
from openai_costs_dagster.orchestration.sensors import tick_records
from openai_costs_dagster.orchestration.sharding import WHOLE, Shard
from openai_costs_dagster.user_input import env_variable
from openai_costs_dagster.warehouse import readers, sensor_ticks
from openai_costs_dagster.warehouse.database import Database

_INTERVAL_S = 15
# Dagster ends a tick after 60 seconds, and an attempt to send a message may last 10 seconds. Attempts therefore only
# start within the first 30 seconds.
_DELIVERY_TIME = dt.timedelta(seconds=30)


def alert_sensor(configuration: Configuration, *, running: bool, shard: Shard = WHOLE) -> dg.SensorDefinition:
    """Return the sensor that sends recorded alerts to their channels.

    `running` is the sensor's default status, which can be changed in Dagster's UI. `shard` is the shard of this code
    location.

    Each tick also records the ticks of the refresh sensor and the runs whose process died, for `openai-costs status`,
    and sends the daily request to `heartbeat_url`.
    """
    sensor = asset_keys.alert_sensor_name(configuration)

    @dg.sensor(
        name=sensor,
        minimum_interval_seconds=_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Delivers alerts to their channels, and retries failed deliveries.",
        target=None,
    )
    def deliver_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        # Importing Apprise takes a quarter of a second. With an import at the top of this module, every run would wait
        # for it, although only this sensor needs Apprise.
        from openai_costs_dagster.alerts import delivery
        from openai_costs_dagster.alerts.routing import routes

        channels, database = routes(configuration), database_access.database(configuration)
        database.prepare()
        with tick_records.recorded(context, database, configuration, sensor, _INTERVAL_S):
            routed = delivery.route(database, channels, utc_now())
            dagster_url = configuration.dagster_url or env_variable(UI_URL_VARIABLE)
            done = delivery.deliver(database, channels, dagster_url, utc_now, utc_now() + _DELIVERY_TIME)
            _monitor(context, database, configuration, shard)
            if done.failed:
                reasons = "; ".join(f"{channel}: {reason}" for channel, reason in sorted(done.failed.items()))
                context.log.warning("delivery failed and will be retried: %s", reasons)
                raise dg.Failure(
                    f"{done.sent} messages were delivered. Other deliveries failed and will be retried: {reasons}"
                )
        return dg.SkipReason(f"{routed} alerts routed, {done.sent} messages delivered")

    return deliver_alerts


def _monitor(
    context: dg.SensorEvaluationContext, database: Database, configuration: Configuration, shard: Shard
) -> None:
    """Record ticks and dead runs, end long transactions of database readers, and send the heartbeat if it is due."""
    from openai_costs_dagster.alerts.heartbeat import send_heartbeat

    refresh_sensor = asset_keys.refresh_sensor_name(configuration)
    with database.connect() as connection:
        tick_records.record_refreshes(context, connection, configuration, shard, sensor=refresh_sensor)
        tick_records.end_dead_runs(context.instance, configuration)
        tick_records.record_dead_runs(
            context, connection, configuration, sensor=asset_keys.alert_sensor_name(configuration)
        )
        sensor_ticks.delete_old(connection, utc_now())
        for name, count in readers.end_long_transactions(connection).items():
            seconds = readers.LIMIT.total_seconds()
            context.log.warning(f"ended {count} transactions of the reader {name} that took over {seconds:.0f} seconds")
    send_heartbeat(database, configuration, tick_records.location_of(context), utc_now)
