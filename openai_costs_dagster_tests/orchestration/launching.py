"""Runs of our definitions, as the daemon and the command line start them, and what Dagster kept of them."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration import names
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.partitions import range_tags

KEY = names.costs_key(names.Named("acme"))


def run(
    configuration: Configuration,
    instance: dg.DagsterInstance,
    days: Sequence[dt.date] | dt.date,
    *,
    key: dg.AssetKey = KEY,
    tags: Mapping[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """One run over a range of days of one organization, or over a single partition, checks included."""
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        asset_selection=[key],
        partition_key=days.isoformat() if isinstance(days, dt.date) else None,
        tags={**({} if isinstance(days, dt.date) else range_tags(DayRange(days[0], days[-1]))), **(tags or {})},
        raise_on_error=False,
    )


def told(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    """The plain values of metadata."""
    return {name: value.value for name, value in metadata.items()}


def materializations(instance: dg.DagsterInstance, key: dg.AssetKey = KEY) -> dict[str | None, Mapping[str, Any]]:
    """The values that the newest materialization of each partition told."""
    records = instance.fetch_materializations(key, limit=1000, ascending=True).records
    return {
        record.partition_key: told(record.asset_materialization.metadata)
        for record in records
        if record.asset_materialization
    }


def evaluations(result: dg.ExecuteInProcessResult, check: str) -> dict[str | None, dg.AssetCheckEvaluation]:
    """A check's results by partition. Raises where a partition has two."""
    found = [one for one in result.get_asset_check_evaluations() if one.check_name == check]
    by_day = {one.partition: one for one in found}
    assert len(by_day) == len(found)
    return by_day


def requested(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *times: dt.datetime,
    cursor: Any = None,
    key: dg.AssetKey = KEY,
) -> tuple[list[DayRange], Any]:
    """What the automation conditions ask for at the last of some times, and the cursor after it."""
    days: list[DayRange] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        for time in times:
            result = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=time, cursor=cursor)
            cursor = result.cursor
            partitions = result.get_requested_partitions(key)
            days = DayRange.covering(dt.date.fromisoformat(day) for day in partitions if day)
    return days, cursor
