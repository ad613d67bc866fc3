"""The asset `openai/<organization>/usage`: what was counted, by user, key and model. It never makes money."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
from collections.abc import Iterator
from typing import Any, NoReturn

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.orchestration import asset_keys, database_access, progress
from openai_costs_dagster.orchestration.assets.table_schemas import DAILY_USAGE
from openai_costs_dagster.orchestration.partitions import days_of
from openai_costs_dagster.sync.usage import UsageDayReport, UsageOutcome, UsageRequest, ingest_usage
from openai_costs_dagster.warehouse.errors import WarehouseError

_DESCRIPTION = """What {title} used of OpenAI each UTC day: tokens, images, seconds and calls, by user, API key and
model.

Usage never makes money, only costs do; it says who caused them. An endpoint that the server does not have is
skipped and named in the metadata."""


def usage_asset(
    organization: Organization,
    configuration: Configuration,
    *,
    partitions: dg.DailyPartitionsDefinition,
    backfill_policy: dg.BackfillPolicy,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Makes an organization's usage asset."""
    key = asset_keys.usage_key(organization)

    @dg.asset(
        key=key,
        description=_DESCRIPTION.format(title=organization.title),
        partitions_def=partitions,
        backfill_policy=backfill_policy,
        automation_condition=automation_condition,
        group_name=asset_keys.group(organization.name),
        owners=list(organization.dagster_owners),
        pool=asset_keys.pool(organization.name),
        kinds={"openai", "postgres"},
        tags={asset_keys.ORGANIZATION_TAG: organization.name},
        metadata={"dagster/table_name": "openai_costs.daily_usage", "dagster/column_schema": DAILY_USAGE},
        code_version="1",
    )
    def usage(context: dg.AssetExecutionContext) -> Iterator[Any]:
        outcome = _run(context, organization, configuration)
        if outcome.failed:
            for day, report in outcome.stored.items():
                yield dg.AssetMaterialization(
                    asset_key=key, partition=day.isoformat(), metadata=_metadata(report, outcome)
                )
            _fail(context, organization, outcome)
        for day, report in outcome.stored.items():
            context.add_asset_metadata(_metadata(report, outcome), asset_key=key, partition_key=day.isoformat())
        yield dg.MaterializeResult(asset_key=key)

    return usage


def _run(context: dg.AssetExecutionContext, organization: Organization, configuration: Configuration) -> UsageOutcome:
    days = days_of(context)
    try:
        database = database_access.database(configuration)
    except (WarehouseError, SecretUnavailable) as error:
        outcome = UsageOutcome()
        outcome.fail(days, str(error), error)
        return outcome
    return ingest_usage(
        UsageRequest(
            organization,
            database,
            days,
            settle_hours=configuration.refresh.settle_hours,
            run_id=context.run.run_id,
            on_wait=lambda sentence: progress.note(organization.name, sentence),
            log=context.log,
        )
    )


def _metadata(report: UsageDayReport, outcome: UsageOutcome) -> dict[str, Any]:
    """What the UI plots by day."""
    metadata: dict[str, Any] = {
        "tokens": int(report.tokens),
        "model_requests": int(report.requests),
        "dagster/partition_row_count": report.rows,
    }
    if outcome.skipped:
        metadata["skipped_endpoints"] = ", ".join(sorted(outcome.skipped))
    return metadata


def _fail(context: dg.AssetExecutionContext, organization: Organization, outcome: UsageOutcome) -> NoReturn:
    if outcome.permanent:
        context.instance.add_run_tags(context.run.run_id, asset_keys.NO_RUN_RETRIES)
    reasons = "; ".join(sorted(set(outcome.failed.values())))
    progress.note(organization.name, f"usage is not whole: {reasons}")
    raise dg.Failure(
        f"The usage of {len(outcome.failed)} days is not whole. {reasons}",
        metadata={
            "failed_days": [day.isoformat() for day in sorted(outcome.failed)],
            "kind": "permanent" if outcome.permanent else "transient",
        },
        allow_retries=False,
    )
