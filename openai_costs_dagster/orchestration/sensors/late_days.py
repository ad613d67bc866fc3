"""The check `latest_day` and the sensor that looks for days that stopped arriving, whatever runs or does not."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.monitoring import late_days
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.check_results import evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_to_judge
from openai_costs_dagster.orchestration.sensors import tick_records
from openai_costs_dagster.warehouse import coverage

SENSOR = "openai_costs_arrivals"
_INTERVAL = 300  # seconds


def latest_day_check(
    organization: Organization, configuration: Configuration, partitions: dg.DailyPartitionsDefinition
) -> dg.AssetChecksDefinition:
    """Makes an organization's `latest_day`: of each day that is due, whether it is here."""
    key = asset_keys.costs_key(organization)
    spec = dg.AssetCheckSpec(
        asset_keys.LATEST_DAY,
        asset=key,
        description="The day is here once it is due (a freshness policy knows no days: an old one makes it fresh).",
        partitions_def=partitions,
    )

    @dg.multi_asset_check(
        name=asset_keys.op_name(organization.name, asset_keys.LATEST_DAY),
        specs=[spec],
        pool=asset_keys.pool(organization.name),
    )
    def latest_day(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        days = days_to_judge(context, configuration.refresh.trailing_days)
        due = late_days.latest_due(configuration.refresh.cron, utc_now())
        with database_access.database(configuration).connect() as connection:
            asked = DayRange(min(days), max(days))
            late = {
                day for day in coverage.days_that_did_not_arrive(connection, organization.name, asked) if day <= due
            }
        target = targets(context.instance, key, days)
        for day in days:  # one for each: Dagster shows a planned day without a result as skipped
            yield _evaluation(organization, day, is_here=day not in late, target=target.get(day))
        yield dg.Output(None, output_name=spec.get_python_identifier())

    return latest_day


def arrival_sensor(configuration: Configuration, *, running: bool) -> dg.SensorDefinition:
    """Makes the sensor; `running` unless someone switches it off."""

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=_INTERVAL,
        default_status=dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED,
        description="Tells of organizations whose newest day should be here and is not.",
        target=None,
    )
    def openai_costs_arrivals(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        told, database = set((context.cursor or "").split()), database_access.database(configuration)
        recorded = tick_records.recorded(context, database, configuration, SENSOR, _INTERVAL)
        with recorded, database.connect() as connection:
            found = late_days.look(connection, configuration, utc_now())
        late = {f"{name}/{day}": (name, day) for name, (day, is_here) in found.items() if not is_here}
        events = [
            _evaluation(configuration.organization(name), day, is_here=False, target=None)
            for key, (name, day) in late.items()
            if key not in told and asset_keys.LATEST_DAY in configuration.checks
        ]
        return dg.SensorResult(
            asset_events=events,
            cursor=" ".join(sorted(late)),
            skip_reason=None if events else dg.SkipReason(f"{len(late)} of {len(found)} lack their newest day"),
        )

    return openai_costs_arrivals


def _evaluation(organization: Organization, day: dt.date, *, is_here: bool, target: Any) -> dg.AssetCheckEvaluation:
    return evaluation(
        asset_keys.costs_key(organization),
        asset_keys.LATEST_DAY,
        day,
        passed=is_here,
        severity=dg.AssetCheckSeverity.WARN,
        description="The day is here, or not due yet." if is_here else "The day is due and not here.",
        target=target,
    )
