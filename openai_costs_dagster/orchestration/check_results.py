"""Creates check results with one UTC day each, also in a run over a range of days.

In a run over a range, Dagster stores an `AssetCheckResult` without a partition, so that the UI could not show which day
failed. An `AssetCheckEvaluation` has a partition. The class `Target`, which links an evaluation to its materialization,
is private to Dagster. Only this module imports `Target`, and a contract test checks its fields.
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
    """Return the result of a check for one UTC day.

    Control characters in `description`, which may contain names from the API, are replaced.
    """
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=check,
        passed=passed,
        partition=day.isoformat(),
        severity=severity,
        # Dagster also writes the description to its log. A name with a line break could forge a log line.
        description=printable(description, lines=True),
        metadata=dict(metadata or {}),
        target_materialization_data=target,
    )


def targets(instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[dt.date]) -> dict[dt.date, Target]:
    """Return the newest materialization of each day that has one, as the target of check results.

    Dagster's UI shows a check result in the bar of its day only if the result refers to this materialization.
    """
    keys = [day.isoformat() for day in days]
    found: dict[dt.date, Target] = {}
    cursor: str | None = None
    while keys:
        page = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset, asset_partitions=keys),
            limit=_RECORDS_PER_PAGE,
            cursor=cursor,
            # In ascending order, a newer materialization of a day replaces the older one in the dictionary `found`.
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
    """Return the result of the check `latest_day` for one UTC day, which passes if `is_stored` is true."""
    return evaluation(
        asset_keys.costs_key(organization),
        asset_paths.LATEST_DAY,
        day,
        passed=is_stored,
        severity=dg.AssetCheckSeverity.WARN,
        description="The day is stored, or not due yet." if is_stored else "The day is due and is missing.",
        target=target,
    )
