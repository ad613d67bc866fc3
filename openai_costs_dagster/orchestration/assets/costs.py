"""The asset `openai/<organization>/costs`: the daily costs that OpenAI bills to an organization.

`sync/costs.py` requests, reconciles and stores the days. This module calls `sync/costs.py` for the days of a Dagster
run. For each day, this module reports a materialization and the results of the checks `complete` and `reconciles` to
Dagster.
"""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
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
from openai_costs_dagster.orchestration.assets.settings import Partitioning, asset_settings
from openai_costs_dagster.orchestration.assets.table_schemas import DAILY_COSTS
from openai_costs_dagster.orchestration.automation import evaluated_with_asset
from openai_costs_dagster.orchestration.check_results import Target, evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_of
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.outcome import DayReport, Outcome
from openai_costs_dagster.warehouse.errors import WarehouseError

_DESCRIPTION = """The costs that OpenAI bills to {title} for each UTC day, in the finest grouping that OpenAI serves.

Each partition is a day; the last one is today. A day is stored completely or not at all, with exact amounts. Until a
day is settled, it is provisional and its costs may change. The view `openai_costs.cost_revisions` keeps every later
change. {backfill}"""
_CHECKS = {
    asset_paths.COMPLETE: "The day is stored completely: OpenAI returned the day with all of its rows and amounts.",
    asset_paths.RECONCILES: "The rows of the day add up to the total that OpenAI returns for an ungrouped request.",
}
# Costs are refreshed every 24 hours, and the API serves a day with a delay. Dagster therefore warns 3 hours, and fails
# 12 hours, after the next refresh was due.
_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=36), warn_window=dt.timedelta(hours=27))

_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def costs_asset(
    organization: Organization,
    configuration: Configuration,
    *,
    partitioning: Partitioning,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Return the asset `costs` of an organization with its checks `complete` and `reconciles`."""
    key = asset_keys.costs_key(organization)
    specs = [
        dg.AssetCheckSpec(
            name,
            asset=key,
            description=description,
            partitions_def=partitioning.partitions,
            automation_condition=evaluated_with_asset(),
        )
        for name, description in _CHECKS.items()
    ]

    @dg.asset(
        key=key,
        description=_DESCRIPTION.format(title=organization.title, backfill=partitioning.description),
        check_specs=specs,
        freshness_policy=_FRESHNESS,
        **asset_settings(
            organization,
            view="daily_costs",
            columns=DAILY_COSTS,
            kinds={"openai", "postgres"},
            automation_condition=automation_condition,
            partitioning=partitioning,
        ),
    )
    def costs(context: dg.AssetExecutionContext) -> Iterator[Any]:
        outcome = _ingest(context, organization, configuration)
        if outcome.failed:
            # Dagster marks all partitions of a failed run as failed. An explicit materialization keeps the stored days
            # successful.
            yield from _materializations(key, outcome)
            yield from _check_results(context, key, outcome)
            _evaluate_stored_days(context, organization, configuration, outcome)
            _raise_failure(context, outcome)
        for day, report in outcome.stored.items():
            context.add_asset_metadata(_metadata(report), asset_key=key, partition_key=day.isoformat())
        for day in outcome.not_started:
            context.add_asset_metadata(_not_started(outcome), asset_key=key, partition_key=day.isoformat())
        # A single result materializes every partition of the run. `add_asset_metadata` has attached the metadata of
        # each day above.
        yield dg.MaterializeResult(asset_key=key)
        yield from _check_results(context, key, outcome)
        # Besides the evaluations with a partition, Dagster requires an output for each selected check and fails the
        # step without it.
        for spec in specs:
            if spec.key in context.selected_asset_check_keys:
                yield dg.Output(None, output_name=spec.get_python_identifier())

    return costs


def _ingest(context: dg.AssetExecutionContext, organization: Organization, configuration: Configuration) -> Outcome:
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
            on_progress=lambda count: progress.days_done(organization.name, count),
            on_wait=lambda message: progress.message(organization.name, message),
            log=context.log,
        )
    )
    progress.finished(organization.name, outcome.summary())
    return outcome


def _materializations(key: dg.AssetKey, outcome: Outcome) -> Iterator[dg.AssetMaterialization]:
    """Yield materializations of the stored days and of days that have not begun, for a run that fails because of other
    days.

    Days that have not begun must not be marked as failed: they are part of a run only because the local clock is ahead.
    """
    for day in outcome.not_started:
        yield dg.AssetMaterialization(asset_key=key, partition=day.isoformat(), metadata=_not_started(outcome))
    for day, report in outcome.stored.items():
        yield dg.AssetMaterialization(asset_key=key, partition=day.isoformat(), metadata=_metadata(report))


def _check_results(
    context: dg.AssetExecutionContext, key: dg.AssetKey, outcome: Outcome
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield the results of the checks `complete` and `reconciles` for each day.

    Call this function after the days were materialized: Dagster's UI shows a check result in the bar of its day only if
    the result refers to the newest materialization of the day.
    """
    target = targets(context.instance, key, [*outcome.stored, *outcome.failed])
    for day, report in outcome.stored.items():
        yield from _results_of_stored_day(key, day, report, target.get(day))
    for day, failure in outcome.failed.items():
        yield evaluation(
            key,
            asset_paths.COMPLETE,
            day,
            passed=False,
            severity=_ERROR,
            description=f"The day was not stored: {failure.reason}",
            target=target.get(day),
        )


def _evaluate_stored_days(
    context: dg.AssetExecutionContext, organization: Organization, configuration: Configuration, outcome: Outcome
) -> None:
    """Detect anomalies and evaluate budgets for the stored days of a failed run.

    When the asset fails, Dagster skips the checks `anomalous_spend` and `budgets`, which evaluate the days of a
    successful run.
    """
    if not outcome.stored:
        return
    evaluator = Evaluator(
        organization, configuration, context.run.run_id, triggers.trigger_of(context.instance, context.run), utc_now()
    )
    try:
        with database_access.database(configuration).connect() as connection:
            evaluator.evaluate(connection, list(outcome.stored))
    except (WarehouseError, SecretUnavailable) as error:
        context.log.warning("anomalies and budgets of the stored days could not be evaluated: %s", error)


def _raise_failure(context: dg.AssetExecutionContext, outcome: Outcome) -> NoReturn:
    permanent = all(failure.permanent for failure in outcome.failed.values())
    if permanent:
        # The argument `allow_retries=False` only prevents retries of the step. The tag `NO_RUN_RETRIES` prevents a
        # retry of the whole run, which would fail in the same way.
        context.instance.add_run_tags(context.run.run_id, asset_keys.NO_RUN_RETRIES)
    requested = len(outcome.failed) + len(outcome.stored)
    raise dg.Failure(
        f"{len(outcome.failed)} of {requested} days were not stored. {outcome.message}",
        metadata={
            "failed_days": [day.isoformat() for day in sorted(outcome.failed)],
            "kind": "permanent" if permanent else "transient",
        },
        allow_retries=False,
    )


def _metadata(report: DayReport) -> dict[str, Any]:
    """Return the metadata of a stored day for Dagster's UI.

    Dagster plots only numbers, and a rounded number would lose digits. The metadata therefore contain the spend twice:
    rounded as a number and exact as text.
    """
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


def _not_started(outcome: Outcome) -> dict[str, Any]:
    return {asset_keys.NOT_STARTED: outcome.clock_warning or "The day has not begun according to the server."}


def _other_totals(report: DayReport) -> list[str]:
    return [f"{amount:f} {currency_name(currency)}" for currency, amount in report.other_totals.items()]


def _results_of_stored_day(
    key: dg.AssetKey, day: dt.date, report: DayReport, target: Target | None
) -> Iterator[dg.AssetCheckEvaluation]:
    description = f"{report.row_count} rows are stored."
    if report.absent_amounts:
        description += f" OpenAI returned no amount for {report.absent_amounts} of them; they are stored as null."
    passed = not report.absent_amounts
    yield evaluation(
        key, asset_paths.COMPLETE, day, passed=passed, severity=_WARN, description=description, target=target
    )
    if report.reconciled is None:
        passed, severity, description = False, _WARN, "OpenAI returned no ungrouped total for this day."
    elif report.reconciled:
        passed, severity, description = True, _WARN, "The rows add up to the total of the ungrouped request."
    else:
        # A provisional day only warns, because its costs may have grown between the request by group and the request
        # for the total.
        passed, severity = False, _WARN if report.provisional else _ERROR
        description = f"The sum of the rows differs from the total of the ungrouped request by {report.difference:+f}."
    yield evaluation(
        key,
        asset_paths.RECONCILES,
        day,
        passed=passed,
        severity=severity,
        description=description,
        metadata=_reconciliation(report),
        target=target,
    )


def _reconciliation(report: DayReport) -> dict[str, Any]:
    """Return the sum of the rows and its difference from the billed total, for Dagster's UI.

    The difference is exact as text, and rounded as a number, because Dagster plots only numbers.
    """
    metadata: dict[str, Any] = {"rows_total": f"{report.amount_usd:f} USD"}
    if report.difference is not None:
        metadata["difference"] = f"{report.difference:+f}"
        metadata["difference_rounded"] = round(float(report.difference), 4)
    return metadata
