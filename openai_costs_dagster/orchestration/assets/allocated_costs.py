"""The asset `openai/<organization>/allocated_costs`: stored costs, allocated to users and API keys.

The asset sends no API request. `sync/allocation.py` loads, allocates and stores the days. `spend/allocation/` holds the
rules of the allocation.
"""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.assets.settings import Partitioning, asset_settings
from openai_costs_dagster.orchestration.assets.table_schemas import ALLOCATED_COSTS
from openai_costs_dagster.orchestration.automation import evaluated_with_asset
from openai_costs_dagster.orchestration.check_results import evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_of
from openai_costs_dagster.sync.allocation import AllocatedDay, AllocationOutcome, allocate_days

_DESCRIPTION = """The costs of {title}, allocated to the users and API keys that caused them.

Costs that OpenAI bills by user stay with that user. All other costs are allocated in proportion to usage; costs without
matching usage stay unallocated. The shares of a cost row add up to its exact amount. {backfill}"""
_MAX_LISTED_MODELS = 5
# The number of newest days that may look begun because the local clock is ahead. If the clock is further ahead of
# OpenAI's server, requests fail (`api/pagination.py`).
_NEWEST_DAYS = dt.timedelta(days=8)


def allocation_asset(
    organization: Organization,
    configuration: Configuration,
    *,
    partitioning: Partitioning,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Return the asset `allocated_costs` of an organization.

    If the organization's usage is synchronized, the asset also has the check `usage_matches_bill`.
    """
    key = asset_keys.allocated_costs_key(organization)
    upstream = [asset_keys.costs_key(organization)]
    specs: list[dg.AssetCheckSpec] = []
    if organization.usage:
        upstream.append(asset_keys.usage_key(organization))
        specs.append(
            dg.AssetCheckSpec(
                asset_paths.USAGE_MATCHES_BILL,
                asset=key,
                description="For each model, OpenAI billed as many tokens as its usage endpoints counted.",
                partitions_def=partitioning.partitions,
                automation_condition=evaluated_with_asset(),
            )
        )

    @dg.asset(
        key=key,
        deps=upstream,
        description=_DESCRIPTION.format(title=organization.title, backfill=partitioning.description),
        check_specs=specs,
        **asset_settings(
            organization,
            view="allocated_costs",
            columns=ALLOCATED_COSTS,
            kinds={"postgres"},
            automation_condition=automation_condition,
            partitioning=partitioning,
        ),
    )
    def allocated_costs(context: dg.AssetExecutionContext) -> Iterator[Any]:
        with database_access.database(configuration).connect() as connection:
            outcome = allocate_days(connection, organization.name, days_of(context), utc_now())
        _log_incomplete_days(context, outcome)
        missing = set(outcome.skipped) - set(outcome.unreconciled)
        not_started = _not_started(context.instance, asset_keys.costs_key(organization), missing)
        missing -= not_started
        if missing:
            # Dagster marks all partitions of a failed run as failed. An explicit materialization keeps the allocated
            # days successful.
            for day, metadata in _metadata_by_day(outcome, not_started):
                yield dg.AssetMaterialization(asset_key=key, partition=day.isoformat(), metadata=metadata)
            raise dg.Failure(
                f"The costs of {_ranges(sorted(missing))} are not stored. The other days are allocated.",
                allow_retries=False,
            )
        for day, metadata in _metadata_by_day(outcome, not_started):
            context.add_asset_metadata(metadata, asset_key=key, partition_key=day.isoformat())
        # Dagster starts the checks that run in steps of their own (anomalies and budgets of users) after this event.
        yield dg.MaterializeResult(asset_key=key)
        if specs:
            target = targets(context.instance, key, outcome.days)
            for day, report in outcome.days.items():
                yield _evaluation(key, day, report, target.get(day))
        # Besides the evaluations with a partition, Dagster requires an output for each selected check and fails the
        # step without it.
        for spec in specs:
            if spec.key in context.selected_asset_check_keys:
                yield dg.Output(None, output_name=spec.get_python_identifier())

    return allocated_costs


def _not_started(instance: dg.DagsterInstance, costs: dg.AssetKey, days: Collection[dt.date]) -> set[dt.date]:
    """Return those of `days` whose newest materialization of the costs records that the day has not begun."""
    since = utc_now().date() - _NEWEST_DAYS
    return {
        day
        for day in days
        if day >= since
        and (found := instance.fetch_materializations(_records_of(costs, day), limit=1).records)
        and (event := found[0].asset_materialization)
        and asset_keys.NOT_STARTED in event.metadata
    }


def _records_of(asset: dg.AssetKey, day: dt.date) -> dg.AssetRecordsFilter:
    return dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[day.isoformat()])


def _metadata_by_day(
    outcome: AllocationOutcome, not_started: Iterable[dt.date]
) -> Iterator[tuple[dt.date, dict[str, Any]]]:
    """Yield each day to materialize with its metadata.

    The days to materialize are the allocated days, days whose costs do not reconcile, and days that have not begun.
    """
    for day, report in outcome.days.items():
        yield day, _metadata(report)
    for day in (*outcome.unreconciled, *not_started):
        yield day, {"left_out": outcome.skipped[day]}


def _log_incomplete_days(context: dg.AssetExecutionContext, outcome: AllocationOutcome) -> None:
    days_by_reason: dict[str, list[dt.date]] = {}
    for day, reason in outcome.skipped.items():
        days_by_reason.setdefault(reason, []).append(day)
    for reason, days in days_by_reason.items():
        context.log.warning("the costs of %s are not allocated: %s", _ranges(days), reason)
    unsplit = [day for day, report in outcome.days.items() if report.unsplit_line_items]
    if unsplit:
        context.log.warning(
            "some line items of %s stay unallocated: no usage connects their rows with users, and their rows and users "
            "are too many to be matched by the users' totals alone; openai_costs.user_totals has these totals",
            _ranges(unsplit),
        )


def _ranges(days: Iterable[dt.date]) -> str:
    return ", ".join(map(str, DayRange.covering(days)))


def _metadata(report: AllocatedDay) -> dict[str, Any]:
    """Return the metadata of an allocated day for Dagster's UI.

    Percentages refer to the gross amount of the day, in which credits count as positive amounts.
    """
    return {
        "to_users_percent": percent(report.to_users_usd, report.gross_usd),
        "to_keys_percent": percent(report.to_keys_usd, report.gross_usd),
        "unallocated_usd": round(float(report.unallocated_usd), 4),
        "dagster/partition_row_count": report.shares,
        "line_items_not_split_by_user": len(report.unsplit_line_items),
        "provisional": report.provisional,
    }


def percent(part: Decimal, whole: Decimal) -> float:
    """Return `part` as a percentage of `whole`, rounded to two decimals, or 100 if `whole` is zero."""
    return round(float(100 * part / whole), 2) if whole else 100.0


def _evaluation(key: dg.AssetKey, day: dt.date, report: AllocatedDay, target: Any) -> dg.AssetCheckEvaluation:
    description = "Billed and counted tokens agree."
    if not report.has_usage:
        description = "No usage is stored for this day."
    if report.differences:
        description = "; ".join(map(str, report.differences[:_MAX_LISTED_MODELS]))
        if len(report.differences) > _MAX_LISTED_MODELS:
            description += f"; and {len(report.differences) - _MAX_LISTED_MODELS} more models"
    return evaluation(
        key,
        asset_paths.USAGE_MATCHES_BILL,
        day,
        passed=not report.differences,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"differing_models": len(report.differences)},
        target=target,
    )
