"""Helpers that run the definitions as Dagster's daemon and command line do, and read the results."""

from __future__ import annotations

import datetime as dt
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_daemon_cursor import AssetDaemonCursor
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.automation_tick_evaluation_context import (
    AutomationTickEvaluationContext,
    build_run_requests_with_backfill_policies,
)
from dagster._core.definitions.partitions.context import partition_loading_context

from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG, range_tags

KEY = asset_keys.costs_key(OrganizationName("acme"))


def run(
    configuration: Configuration,
    instance: dg.DagsterInstance,
    days: Sequence[dt.date] | dt.date,
    *,
    key: dg.AssetKey = KEY,
    tags: Mapping[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a range of days of one organization, or a single partition, with all checks."""
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        asset_selection=[key],
        partition_key=days.isoformat() if isinstance(days, dt.date) else None,
        tags={**({} if isinstance(days, dt.date) else range_tags(DayRange(days[0], days[-1]))), **(tags or {})},
        raise_on_error=False,
    )


def plain_values(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    """Return metadata as plain values."""
    return {name: value.value for name, value in metadata.items()}


def materializations(instance: dg.DagsterInstance, key: dg.AssetKey = KEY) -> dict[str | None, Mapping[str, Any]]:
    """Return the metadata of the newest materialization of each partition."""
    records = instance.fetch_materializations(key, limit=1000, ascending=True).records
    return {
        record.partition_key: plain_values(record.asset_materialization.metadata)
        for record in records
        if record.asset_materialization
    }


def evaluations(result: dg.ExecuteInProcessResult, check: str) -> dict[str | None, dg.AssetCheckEvaluation]:
    """Return a check's results by partition. Fails if a partition has two results."""
    found = [evaluation for evaluation in result.get_asset_check_evaluations() if evaluation.check_name == check]
    by_day = {evaluation.partition: evaluation for evaluation in found}
    assert len(by_day) == len(found)
    return by_day


def requested(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *times: dt.datetime,
    cursor: Any = None,
    key: dg.AssetKey = KEY,
) -> tuple[list[DayRange], Any]:
    """Evaluate the conditions at each time. Return the days requested at the last time, and the next cursor."""
    days: list[DayRange] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        for time in times:
            result = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=time, cursor=cursor)
            cursor = result.cursor
            partitions = result.get_requested_partitions(key)
            days = DayRange.covering(dt.date.fromisoformat(day) for day in partitions if day)
    return days, cursor


@dataclass(frozen=True)
class RequestedRun:
    """A requested run, with keys such as ``acme/costs`` and ``acme/costs:complete``."""

    days: DayRange
    assets: frozenset[str]
    checks: frozenset[str]
    tags: Mapping[str, str]

    @property
    def organizations(self) -> set[str]:
        return {asset.partition("/")[0] for asset in self.assets}


def requested_runs(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    *times: dt.datetime,
    cursor: AssetDaemonCursor | None = None,
) -> tuple[list[RequestedRun], AssetDaemonCursor]:
    """Return the runs of organizations that the sensor `openai_costs_refresh` requests at the last given time.

    The second value is the cursor for the next evaluation. The sensor is evaluated as by the daemon, and backfills
    are split into runs as by the backfill daemon.
    """
    repository = definitions.get_repository_def()
    (sensor,) = (
        definition
        for definition in repository.sensor_defs
        if isinstance(definition, dg.AutomationConditionSensorDefinition)
    )
    graph, cursor = repository.asset_graph, cursor or AssetDaemonCursor.empty()
    requests: Sequence[dg.RunRequest] = []
    for number, time in enumerate(times):
        requests, cursor, _ = AutomationTickEvaluationContext(
            evaluation_id=number,
            instance=instance,
            asset_graph=graph,
            cursor=cursor,
            materialize_run_tags=sensor.run_tags,
            observe_run_tags={},
            auto_observe_asset_keys=set(),
            asset_selection=sensor.asset_selection,
            logger=logging.getLogger(__name__),
            emit_backfills=sensor.emit_backfills,
            evaluation_time=time,
        ).evaluate()
    with partition_loading_context(effective_dt=times[-1], dynamic_partitions_store=instance):
        runs = [run for request in requests for run in _runs_of(request, graph, instance)]
    found = [
        RequestedRun(
            days=DayRange(dt.date.fromisoformat(first), dt.date.fromisoformat(last)),
            assets=frozenset(_short(key) for key in run.asset_selection or []),
            checks=frozenset(
                f"{_short(check.asset_key)}:{check.name}"
                # A run request without a list of checks runs every check of its assets.
                for check in run.asset_check_keys or graph.get_check_keys_for_assets(set(run.asset_selection or []))
            ),
            tags=run.tags,
        )
        for run in runs
        if (first := run.partition_key or run.tags.get(RANGE_START_TAG))
        and (last := run.partition_key or run.tags.get(RANGE_END_TAG))
        and all(len(key.path) == 3 for key in run.asset_selection or [])
    ]
    return found, cursor


def _runs_of(request: dg.RunRequest, graph: AssetGraph, instance: dg.DagsterInstance) -> Sequence[dg.RunRequest]:
    if request.asset_graph_subset is None:
        return [request]
    partitions = list(request.asset_graph_subset.iterate_asset_partitions())
    runs = build_run_requests_with_backfill_policies(partitions, graph, instance)
    return [run._replace(tags={**request.tags, **run.tags}) for run in runs]


def _short(key: dg.AssetKey) -> str:
    return "/".join(key.path[-2:])
