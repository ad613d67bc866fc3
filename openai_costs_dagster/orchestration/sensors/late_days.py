"""The sensor that reports days that are due and not stored, whether or not any run is started."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.monitoring import late_days
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.check_results import latest_day_evaluation
from openai_costs_dagster.orchestration.sensors import tick_records

_INTERVAL = 300  # seconds


def late_days_sensor(configuration: Configuration, *, running: bool) -> dg.SensorDefinition:
    """Makes the sensor; `running` unless someone switches it off."""
    sensor = asset_keys.late_days_sensor_name(configuration)

    @dg.sensor(
        name=sensor,
        minimum_interval_seconds=_INTERVAL,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Tells of organizations whose newest day should be here and is not.",
        target=None,
    )
    def report_late_days(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        told, database = set((context.cursor or "").split()), database_access.database(configuration)
        recorded = tick_records.recorded(context, database, configuration, sensor, _INTERVAL)
        with recorded, database.connect() as connection:
            found = late_days.check_late_days(connection, configuration, utc_now())
        late = {f"{name}/{day}": (name, day) for name, (day, is_here) in found.items() if not is_here}
        events = [
            latest_day_evaluation(configuration.organization(name), day, is_here=False, target=None)
            for key, (name, day) in late.items()
            if key not in told and asset_paths.LATEST_DAY in configuration.checks
        ]
        return dg.SensorResult(
            asset_events=events,
            cursor=" ".join(sorted(late)),
            skip_reason=None if events else dg.SkipReason(f"{len(late)} of {len(found)} lack their newest day"),
        )

    return report_late_days
