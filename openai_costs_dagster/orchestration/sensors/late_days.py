"""The sensor that alerts about late days: days that are missing although a refresh should have stored them.

A sensor checks for late days, because a day can be late when no run starts, and a check needs a run.
"""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.monitoring import late_days
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.check_results import latest_day_evaluation
from openai_costs_dagster.orchestration.sensors import tick_records

_INTERVAL_S = 300


def late_days_sensor(configuration: Configuration, *, running: bool) -> dg.SensorDefinition:
    """Return the sensor that alerts about late days.

    `running` is the sensor's default status, which can be changed in Dagster's UI. The sensor's cursor lists the late
    days, as in ``acme/2026-01-31``, so that each late day is reported once.
    """
    sensor = asset_keys.late_days_sensor_name(configuration)

    @dg.sensor(
        name=sensor,
        minimum_interval_seconds=_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Alerts if the latest day of an organization should be stored by now and is missing.",
        target=None,
    )
    def report_late_days(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        reported = set((context.cursor or "").split())
        database = database_access.database(configuration)
        recorded = tick_records.recorded(context, database, configuration, sensor, _INTERVAL_S)
        with recorded, database.connect() as connection:
            latest_days = late_days.check_late_days(connection, configuration, utc_now())
        late = {f"{name}/{day}": (name, day) for name, (day, is_stored) in latest_days.items() if not is_stored}
        events = [
            latest_day_evaluation(configuration.organization(name), day, is_stored=False, target=None)
            for key, (name, day) in late.items()
            if key not in reported and asset_paths.LATEST_DAY in configuration.checks
        ]
        return dg.SensorResult(
            asset_events=events,
            cursor=" ".join(sorted(late)),
            skip_reason=None
            if events
            else dg.SkipReason(f"The latest day is missing for {len(late)} of {len(latest_days)} organizations."),
        )

    return report_late_days
