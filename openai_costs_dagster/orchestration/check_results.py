"""Converts check results into one result per day, also in runs over a range of days.

In such a run, Dagster stores an `AssetCheckResult` without a partition; only an `AssetCheckEvaluation` has one. The
class that links an evaluation to its materialization is private to Dagster. Only this module imports it, and a
contract test checks its fields.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.orchestration import asset_keys

__all__ = ["Target", "evaluation", "latest_day_evaluation", "targets"]

_RECORDS_PER_PAGE = 1000


def evaluation(
    asset: dg.AssetKey,
    check: str,
    day: dt.date,
    *,
    passed: bool,
    severity: dg.AssetCheckSeverity,
    description: str,
    metadata: Mapping[str, Any] | None = None,
    target: Target | None = None,
) -> dg.AssetCheckEvaluation:
    """Return the result of a check for one UTC day. Names in the description may come from the API."""
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=check,
        passed=passed,
        partition=day.isoformat(),
        severity=severity,
        # Dagster also writes the description to the log, in which control characters could forge lines.
        description=printable(description, lines=True),
        metadata=dict(metadata or {}),
        target_materialization_data=target,
    )


def targets(instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[dt.date]) -> dict[dt.date, Target]:
    """Return the newest materialization of each day.

    Dagster's UI shows a check result in the bar of its day only if the result refers to that materialization.
    """
    keys = [day.isoformat() for day in days]
    found: dict[dt.date, Target] = {}
    cursor: str | None = None
    while keys:
        page = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset, asset_partitions=keys),
            limit=_RECORDS_PER_PAGE,
            cursor=cursor,
            # In ascending order, a newer materialization of a day replaces an older one in `found`.
            ascending=True,
        )
        for record in page.records:
            if record.partition_key:
                found[dt.date.fromisoformat(record.partition_key)] = Target(
                    storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
                )
        if not page.has_more:
            break
        cursor = page.cursor
    return found


def latest_day_evaluation(
    organization: Organization, day: dt.date, *, is_stored: bool, target: Any
) -> dg.AssetCheckEvaluation:
    """Return the result of the check `latest_day` for one UTC day."""
    return evaluation(
        asset_keys.costs_key(organization),
        asset_paths.LATEST_DAY,
        day,
        passed=is_stored,
        severity=dg.AssetCheckSeverity.WARN,
        description="The day is stored, or not due yet." if is_stored else "The day is due and is missing.",
        target=target,
    )
