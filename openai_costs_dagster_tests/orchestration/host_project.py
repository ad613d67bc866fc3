"""A Dagster project with its own schedule and sensor for the assets of this package. Tests load it by path."""

from pathlib import Path

import dagster as dg

from openai_costs_dagster import build_definitions
from openai_costs_dagster.configuration import from_mapping

JOB = "openai_daily"
SCHEDULE = "openai_every_day"
SENSOR = "openai_on_request"
START = "2026-03-01"

_ORGANIZATION = {"admin_key": {"env": "NO_KEY"}, "start_date": START}
_DATABASE = {"url": {"env": "NO_DATABASE"}}
_FAMILY = [dg.AssetKey(["openai", "acme", name]) for name in ("costs", "usage", "allocated_costs")]

_job = dg.define_asset_job(JOB, selection=_FAMILY)


@dg.sensor(job=_job, name=SENSOR, default_status=dg.DefaultSensorStatus.RUNNING)
def _on_request() -> dg.RunRequest:
    return dg.RunRequest(run_key="once", partition_key="2026-03-10")


def definitions(*, automation: bool = False) -> dg.Definitions:
    """Return the definitions of this package together with a job, a schedule and a sensor of the project."""
    configuration = from_mapping({"organizations": {"acme": _ORGANIZATION}, "database": _DATABASE}, "host", Path())
    schedule = dg.build_schedule_from_partitioned_job(
        _job, name=SCHEDULE, hour_of_day=6, default_status=dg.DefaultScheduleStatus.RUNNING
    )
    return dg.Definitions.merge(
        build_definitions(configuration, automation=automation),
        dg.Definitions(jobs=[_job], schedules=[schedule], sensors=[_on_request]),
    )


defs = definitions()
