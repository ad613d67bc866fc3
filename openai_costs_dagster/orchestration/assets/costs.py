"""The asset `openai/<organization>/costs`: one daily-partitioned table of what the organization was billed."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
import datetime as dt
from collections.abc import Iterator
from typing import Any, NoReturn

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.cost_records import currency_name
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.monitoring.evaluation import Evaluator
from openai_costs_dagster.orchestration import asset_keys, database_access, progress, triggers
from openai_costs_dagster.orchestration.assets.table_schemas import DAILY_COSTS
from openai_costs_dagster.orchestration.automation import evaluated_with_asset
from openai_costs_dagster.orchestration.check_results import Target, evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_of
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.outcome import DayReport, Outcome
from openai_costs_dagster.warehouse.errors import WarehouseError

_DESCRIPTION = """What {title} was billed by OpenAI each UTC day, as fine as the API bills it.

A partition is a day; the last one is today and still grows. A day is stored whole or not at all, to the last digit,
and may change until it is settled. Every restatement after that is kept in `openai_costs.cost_revisions`. Backfill
any range from this page: it becomes one run."""
_CHECKS = {
    asset_paths.COMPLETE: "Every day asked for arrived whole: one bucket, all of its rows, sums as read.",
    asset_paths.RECONCILES: "The day's rows add up to the organization's total, asked for a second time and ungrouped.",
}
_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=36), warn_window=dt.timedelta(hours=27))
"""A daily refresh and a little; within the day it is read more often."""

_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def costs_asset(
    organization: Organization,
    configuration: Configuration,
    *,
    partitions: dg.DailyPartitionsDefinition,
    backfill_policy: dg.BackfillPolicy,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Makes an organization's costs asset with its checks `complete` and `reconciles`."""
    key = asset_keys.costs_key(organization)
    specs = [
        dg.AssetCheckSpec(
            name, asset=key, description=text, partitions_def=partitions, automation_condition=evaluated_with_asset()
        )
        for name, text in _CHECKS.items()
    ]

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
        metadata={"dagster/table_name": "openai_costs.daily_costs", "dagster/column_schema": DAILY_COSTS},
        check_specs=specs,
        freshness_policy=_FRESHNESS,
        code_version="1",
    )
    def costs(context: dg.AssetExecutionContext) -> Iterator[Any]:
        outcome = _run(context, organization, configuration)
        if outcome.failed:
            yield from _materializations(key, outcome)
            yield from _check_results(context, key, outcome)
            _look_at_the_good_days(context, organization, configuration, outcome)
            _fail(context, outcome)
        for day, report in outcome.stored.items():
            context.add_asset_metadata(_metadata(report), asset_key=key, partition_key=day.isoformat())
        yield dg.MaterializeResult(asset_key=key)
        yield from _check_results(context, key, outcome)
        for spec in specs:
            if spec.key in context.selected_asset_check_keys:
                yield dg.Output(None, output_name=spec.get_python_identifier())

    return costs


def _run(context: dg.AssetExecutionContext, organization: Organization, configuration: Configuration) -> Outcome:
    days = days_of(context)
    try:
        database = database_access.database(configuration)
    except (WarehouseError, SecretUnavailable) as error:
        outcome = Outcome()
        outcome.fail(days, error)
        return outcome
    outcome = ingest_costs(
        CostsRequest(
            organization,
            database,
            days,
            settle_hours=configuration.refresh.settle_hours,
            trigger=triggers.trigger_of(context.instance, context.run),
            run_id=context.run.run_id,
            raw_pages_days=configuration.retention.raw_pages_days,
            on_progress=lambda done: progress.days_done(organization.name, done),
            on_wait=lambda sentence: progress.note(organization.name, sentence),
            log=context.log,
        )
    )
    progress.finished(organization.name, outcome.summary())
    return outcome


def _materializations(key: dg.AssetKey, outcome: Outcome) -> Iterator[dg.AssetMaterialization]:
    """The good days of a run that will fail for others: the UI then shows exactly those others as failed."""
    for day, report in outcome.stored.items():
        yield dg.AssetMaterialization(asset_key=key, partition=day.isoformat(), metadata=_metadata(report))


def _check_results(
    context: dg.AssetExecutionContext, key: dg.AssetKey, outcome: Outcome
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yielded after the materializations: without those as targets the checks' day bars stay empty."""
    target = targets(context.instance, key, [*outcome.stored, *outcome.failed])
    for day, report in outcome.stored.items():
        yield from _checks_of_stored(key, day, report, target.get(day))
    for day, failure in outcome.failed.items():
        yield evaluation(
            key,
            asset_paths.COMPLETE,
            day,
            passed=False,
            severity=_ERROR,
            description=f"Not stored: {failure.reason}",
            target=target.get(day),
        )


def _look_at_the_good_days(
    context: dg.AssetExecutionContext, organization: Organization, configuration: Configuration, outcome: Outcome
) -> None:
    """What the checks would do, which Dagster skips now."""
    if not outcome.stored:
        return
    evaluator = Evaluator(
        organization, configuration, context.run.run_id, triggers.trigger_of(context.instance, context.run), utc_now()
    )
    try:
        with database_access.database(configuration).connect() as connection:
            evaluator.evaluate(connection, list(outcome.stored))
    except (WarehouseError, SecretUnavailable) as error:
        context.log.warning("the days that were stored could not be judged: %s", error)


def _fail(context: dg.AssetExecutionContext, outcome: Outcome) -> NoReturn:
    permanent = all(failure.permanent for failure in outcome.failed.values())
    if permanent:  # retrying the run would change nothing; allow_retries alone does not keep Dagster from it
        context.instance.add_run_tags(context.run.run_id, asset_keys.NO_RUN_RETRIES)
    asked = len(outcome.failed) + len(outcome.stored)
    raise dg.Failure(
        f"{len(outcome.failed)} of {asked} days were not stored. {outcome.message}",
        metadata={
            "failed_days": [day.isoformat() for day in sorted(outcome.failed)],
            "kind": "permanent" if permanent else "transient",
        },
        allow_retries=False,
    )


def _metadata(report: DayReport) -> dict[str, Any]:
    """What the UI plots by day; the exact amount stands beside the plotted one as text."""
    metadata: dict[str, Any] = {
        "spend_usd": round(float(report.amount_usd), 4),
        "spend_exact": ", ".join([f"{report.amount_usd:f} USD", *_other_totals(report)]),
        "dagster/partition_row_count": report.row_count,
        "requests": report.requests,
        "provisional": report.provisional,
        "grouping": report.grouping,
    }
    if report.change_usd is not None:
        metadata["change_usd"] = round(float(report.change_usd), 4)
    if report.absent_amounts:
        metadata["rows_without_amount"] = report.absent_amounts
    return metadata


def _other_totals(report: DayReport) -> list[str]:
    return [f"{amount:f} {currency_name(currency)}" for currency, amount in report.other_totals.items()]


def _checks_of_stored(
    key: dg.AssetKey, day: dt.date, report: DayReport, target: Target | None
) -> Iterator[dg.AssetCheckEvaluation]:
    said = f"{report.row_count} rows arrived whole."
    if report.absent_amounts:
        said += f" {report.absent_amounts} of them came without an amount, stored as null."
    passed = not report.absent_amounts
    yield evaluation(key, asset_paths.COMPLETE, day, passed=passed, severity=_WARN, description=said, target=target)
    if report.reconciled is None:
        passed, severity, said = False, _WARN, "The second, ungrouped answer could not be had."
    elif report.reconciled:
        passed, severity, said = True, _WARN, "Both answers bill the same."
    else:
        passed, severity = False, _WARN if report.provisional else _ERROR
        said = f"Rows less the total that the API bills for the day: {report.difference:+f}."
    yield evaluation(
        key, asset_paths.RECONCILES, day, passed=passed, severity=severity, description=said, target=target
    )
