"""The asset `openai/<organization>/usage`: the daily usage of an organization by user, API key and model.

`sync/usage.py` requests and stores the days. Usage consists of counters, such as tokens and requests. The billed
amounts are in the asset `costs`.
"""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
from collections.abc import Iterator
from typing import Any, NoReturn

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.orchestration import asset_keys, database_access, progress
from openai_costs_dagster.orchestration.assets.settings import Partitioning, asset_settings
from openai_costs_dagster.orchestration.assets.table_schemas import DAILY_USAGE
from openai_costs_dagster.orchestration.partitions import days_of
from openai_costs_dagster.sync.usage import UsageDayReport, UsageOutcome, UsageRequest, ingest_usage
from openai_costs_dagster.warehouse.errors import WarehouseError

_DESCRIPTION = """The usage of {title} for each UTC day: tokens, images, seconds and requests by user, API key, model.

Usage contains no amounts. It shows which users and API keys caused the costs. An endpoint that the server does not have
is skipped and named in the metadata. {backfill}"""


def usage_asset(
    organization: Organization,
    configuration: Configuration,
    *,
    partitioning: Partitioning,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Return the asset `usage` of an organization, with one partition per UTC day."""
    key = asset_keys.usage_key(organization)

    @dg.asset(
        key=key,
        description=_DESCRIPTION.format(title=organization.title, backfill=partitioning.description),
        **asset_settings(
            organization,
            view="daily_usage",
            columns=DAILY_USAGE,
            kinds={"openai", "postgres"},
            automation_condition=automation_condition,
            partitioning=partitioning,
        ),
    )
    def usage(context: dg.AssetExecutionContext) -> Iterator[Any]:
        outcome = _ingest(context, organization, configuration)
        if outcome.failed:
            for day, report in outcome.stored.items():
                yield dg.AssetMaterialization(
                    asset_key=key, partition=day.isoformat(), metadata=_metadata(report, outcome)
                )
            for day in outcome.not_started:
                yield dg.AssetMaterialization(asset_key=key, partition=day.isoformat(), metadata=_not_started(outcome))
            _raise_failure(context, organization, outcome)
        for day, report in outcome.stored.items():
            context.add_asset_metadata(_metadata(report, outcome), asset_key=key, partition_key=day.isoformat())
        for day in outcome.not_started:
            context.add_asset_metadata(_not_started(outcome), asset_key=key, partition_key=day.isoformat())
        # A single result materializes every partition of the run. `add_asset_metadata` has attached the metadata of
        # each day above.
        yield dg.MaterializeResult(asset_key=key)

    return usage


def _ingest(
    context: dg.AssetExecutionContext, organization: Organization, configuration: Configuration
) -> UsageOutcome:
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
            on_wait=lambda message: progress.message(organization.name, message),
            log=context.log,
        )
    )


def _metadata(report: UsageDayReport, outcome: UsageOutcome) -> dict[str, Any]:
    """Return the counters of a stored day as metadata. Dagster's UI plots them by day."""
    metadata: dict[str, Any] = {
        "tokens": int(report.tokens),
        "model_requests": int(report.requests),
        "dagster/partition_row_count": report.rows,
    }
    if outcome.skipped:
        metadata["skipped_endpoints"] = ", ".join(sorted(outcome.skipped))
    return metadata


def _not_started(outcome: UsageOutcome) -> dict[str, Any]:
    return {asset_keys.NOT_STARTED: outcome.clock_warning or "The day has not begun according to the server."}


def _raise_failure(context: dg.AssetExecutionContext, organization: Organization, outcome: UsageOutcome) -> NoReturn:
    if outcome.permanent:
        # The argument `allow_retries=False` only prevents retries of the step. The tag `NO_RUN_RETRIES` prevents a
        # retry of the whole run, which would fail in the same way.
        context.instance.add_run_tags(context.run.run_id, asset_keys.NO_RUN_RETRIES)
    reasons = "; ".join(sorted(set(outcome.failed.values())))
    progress.message(organization.name, f"usage is incomplete: {reasons}")
    raise dg.Failure(
        f"The usage of {len(outcome.failed)} days is incomplete. {reasons}",
        metadata={
            "failed_days": [day.isoformat() for day in sorted(outcome.failed)],
            "kind": "permanent" if outcome.permanent else "transient",
        },
        allow_retries=False,
    )
