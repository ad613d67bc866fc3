"""The check `latest_day` and the sensor that looks for days that stopped arriving, whatever runs or does not."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.orchestration import arrivals, names, server
from openai_costs_dagster.orchestration.evaluations import evaluation, targets

SENSOR = "openai_costs_arrivals"
_INTERVAL = 300  # seconds


def latest_day_check(
    organization: Organization, configuration: Configuration, partitions: dg.DailyPartitionsDefinition
) -> dg.AssetChecksDefinition:
    """Makes an organization's `latest_day`: a run judges the newest day that is due, whatever days it reads."""
    key = names.costs_key(organization.name)
    spec = dg.AssetCheckSpec(
        names.LATEST_DAY,
        asset=key,
        description="The newest day that is due is here (a freshness policy knows no days: an old one makes it fresh).",
        partitions_def=partitions,
    )

    @dg.multi_asset_check(
        name=names.op_name(organization.name, names.LATEST_DAY), specs=[spec], pool=names.pool(organization.name)
    )
    def latest_day(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        due = arrivals.latest_due(configuration.refresh.cron, utc_now())
        with server.database(configuration).connect() as connection:
            is_here = arrivals.is_here(connection, organization.name, DayRange(due, due))
        target = targets(context.instance, key, [due])
        yield _evaluation(organization.name, due, is_here=is_here, target=target.get(due))
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
        told = set((context.cursor or "").split())
        with server.database(configuration).connect() as connection:
            found = arrivals.look(connection, configuration, utc_now())
        late = {f"{name}/{day}": (name, day) for name, (day, is_here) in found.items() if not is_here}
        events = [
            _evaluation(name, day, is_here=False, target=None) for key, (name, day) in late.items() if key not in told
        ]
        return dg.SensorResult(
            asset_events=events,
            cursor=" ".join(sorted(late)),
            skip_reason=None if events else dg.SkipReason(f"{len(late)} of {len(found)} lack their newest day"),
        )

    return openai_costs_arrivals


def _evaluation(organization: str, day: dt.date, *, is_here: bool, target: Any) -> dg.AssetCheckEvaluation:
    return evaluation(
        names.costs_key(organization),
        names.LATEST_DAY,
        day,
        passed=is_here,
        severity=dg.AssetCheckSeverity.WARN,
        description="The newest day that is due is here." if is_here else "The day is due and not here.",
        target=target,
    )
