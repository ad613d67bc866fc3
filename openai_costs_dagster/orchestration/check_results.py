"""Check results, one per day, also in a run over a range.

In a range run Dagster stores an `AssetCheckResult` with no partition; only `AssetCheckEvaluation` carries one. The
class that ties an evaluation to its materialization is private, and imported here alone (a contract test holds it).
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
from openai_costs_dagster.orchestration import asset_keys

__all__ = ["Target", "evaluation", "latest_day_evaluation", "targets"]

_PAGE = 1000


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
    """One day's result of one check."""
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=check,
        passed=passed,
        partition=day.isoformat(),
        severity=severity,
        description=description,
        metadata=dict(metadata or {}),
        target_materialization_data=target,
    )


def targets(instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[dt.date]) -> dict[dt.date, Target]:
    """The newest materialization of each day, without which the check's day bar stays empty."""
    keys = [day.isoformat() for day in days]
    found: dict[dt.date, Target] = {}
    cursor: str | None = None
    while keys:
        page = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset, asset_partitions=keys), limit=_PAGE, cursor=cursor, ascending=True
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
    organization: Organization, day: dt.date, *, is_here: bool, target: Any
) -> dg.AssetCheckEvaluation:
    """Return the result of the check `latest_day` for one UTC day."""
    return evaluation(
        asset_keys.costs_key(organization),
        asset_paths.LATEST_DAY,
        day,
        passed=is_here,
        severity=dg.AssetCheckSeverity.WARN,
        description="The day is here, or not due yet." if is_here else "The day is due and not here.",
        target=target,
    )
