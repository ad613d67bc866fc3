"""The asset `openai/<organization>/allocated_costs`: costs shared out to users and keys; needs no request.

Days without whole costs are left out and named; the others go on.
"""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.assets.table_schemas import ALLOCATED_COSTS
from openai_costs_dagster.orchestration.automation import evaluated_with_asset
from openai_costs_dagster.orchestration.check_results import evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_of
from openai_costs_dagster.sync.allocation import AllocatedDay, AllocationOutcome, allocate_days

_DESCRIPTION = """What {title} was billed, shared out to the users and API keys that caused it.

What OpenAI bills by user stays theirs; the rest is shared out by usage, and what no usage explains stays
unallocated. The shares of a cost row add up to it to the last digit, and all of them to `costs`."""
_SHOWN = 5  # models named in a check's description


def allocation_asset(
    organization: Organization,
    configuration: Configuration,
    *,
    partitions: dg.DailyPartitionsDefinition,
    backfill_policy: dg.BackfillPolicy,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Makes an organization's allocation asset, with its check `usage_matches_bill` where usage is read."""
    key = asset_keys.allocated_costs_key(organization)
    upstream = [asset_keys.costs_key(organization)]
    if organization.usage:
        upstream.append(asset_keys.usage_key(organization))
    specs = [
        dg.AssetCheckSpec(
            asset_paths.USAGE_MATCHES_BILL,
            asset=key,
            description="The tokens that were billed are those that were counted, by model.",
            partitions_def=partitions,
            automation_condition=evaluated_with_asset(),
        )
    ] * organization.usage

    @dg.asset(
        key=key,
        deps=upstream,
        description=_DESCRIPTION.format(title=organization.title),
        partitions_def=partitions,
        backfill_policy=backfill_policy,
        automation_condition=automation_condition,
        group_name=asset_keys.group(organization.name),
        owners=list(organization.dagster_owners),
        pool=asset_keys.pool(organization.name),
        kinds={"postgres"},
        tags={asset_keys.ORGANIZATION_TAG: organization.name},
        metadata={"dagster/table_name": "openai_costs.allocated_costs", "dagster/column_schema": ALLOCATED_COSTS},
        check_specs=specs,
        code_version="1",
    )
    def allocated_costs(context: dg.AssetExecutionContext) -> Iterator[Any]:
        with database_access.database(configuration).connect() as connection:
            outcome = allocate_days(connection, organization.name, days_of(context), utc_now())
        _name_what_is_left_out(context, outcome)
        missing = sorted(set(outcome.skipped) - set(outcome.unreconciled))
        if missing:
            yield from _materializations(key, outcome)
            raise dg.Failure(_lacking(missing), allow_retries=False)
        for day, metadata in _made(outcome):
            context.add_asset_metadata(metadata, asset_key=key, partition_key=day.isoformat())
        yield dg.MaterializeResult(asset_key=key)  # checks of other steps wait for this
        if specs:
            target = targets(context.instance, key, outcome.days)
            for day, report in outcome.days.items():
                yield _evaluation(key, day, report, target.get(day))
        for spec in specs:
            if spec.key in context.selected_asset_check_keys:
                yield dg.Output(None, output_name=spec.get_python_identifier())

    return allocated_costs


def _made(outcome: AllocationOutcome) -> Iterator[tuple[dt.date, dict[str, Any]]]:
    """What is said of each day that is done with: shared out, or left out until its costs are read anew."""
    for day, report in outcome.days.items():
        yield day, _metadata(report)
    for day in outcome.unreconciled:
        yield day, {"left_out": outcome.skipped[day]}


def _materializations(key: dg.AssetKey, outcome: AllocationOutcome) -> Iterator[dg.AssetMaterialization]:
    """The good days of a run that will fail for others."""
    for day, metadata in _made(outcome):
        yield dg.AssetMaterialization(asset_key=key, partition=day.isoformat(), metadata=metadata)


def _lacking(days: list[dt.date]) -> str:
    return f"The costs of {', '.join(map(str, DayRange.covering(days)))} are not stored; the other days are shared out."


def _name_what_is_left_out(context: dg.AssetExecutionContext, outcome: AllocationOutcome) -> None:
    reasons: dict[str, list[dt.date]] = {}
    for day, reason in outcome.skipped.items():
        reasons.setdefault(reason, []).append(day)
    for reason, days in reasons.items():
        context.log.warning("left out %s: %s", ", ".join(map(str, DayRange.covering(days))), reason)
    unsplit = [day for day, report in outcome.days.items() if report.unsplit_line_items]
    if unsplit:
        context.log.warning(
            "some line items of %s stay unallocated: no usage connects their rows with users, and there are too many "
            "of both to split the rows by the users' totals alone; openai_costs.user_totals has these totals",
            ", ".join(map(str, DayRange.covering(unsplit))),
        )


def _metadata(report: AllocatedDay) -> dict[str, Any]:
    """What the UI plots by day; shares are of spend without its signs."""
    return {
        "to_users_percent": percent(report.to_users_usd, report.gross_usd),
        "to_keys_percent": percent(report.to_keys_usd, report.gross_usd),
        "unallocated_usd": round(float(report.unallocated_usd), 4),
        "dagster/partition_row_count": report.shares,
        "line_items_not_split_by_user": len(report.unsplit_line_items),
        "provisional": report.provisional,
    }


def percent(part: Decimal, whole: Decimal) -> float:
    """A share in percent; all of nothing is 100."""
    return round(float(100 * part / whole), 2) if whole else 100.0


def _evaluation(key: dg.AssetKey, day: dt.date, report: AllocatedDay, target: Any) -> dg.AssetCheckEvaluation:
    said = "Billed and counted tokens agree."
    if not report.has_usage:
        said = "No usage was counted."
    if report.differences:
        said = "; ".join(map(str, report.differences[:_SHOWN]))
        if len(report.differences) > _SHOWN:
            said += f"; and {len(report.differences) - _SHOWN} more models"
    return evaluation(
        key,
        asset_paths.USAGE_MATCHES_BILL,
        day,
        passed=not report.differences,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"models_apart": len(report.differences)},
        target=target,
    )
