"""The check `anomalous_spend`: warns if the spend of a day is unusual compared with the days before it.

`monitoring/evaluation.py` evaluates the days and stores the findings, which the view `openai_costs.anomalies` shows. A
new evaluation of a day replaces the findings of the day. This module reports the result of each day to Dagster.
"""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.monitoring.evaluation import Evaluator
from openai_costs_dagster.monitoring.findings import DayEvaluation
from openai_costs_dagster.orchestration import asset_keys, database_access, triggers
from openai_costs_dagster.orchestration.check_results import evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_to_evaluate
from openai_costs_dagster.spend.money import dollars
from openai_costs_dagster.warehouse.anomalies import Finding

_COLUMNS = ("impact_usd", "severity", "level", "explanation")


def anomaly_check(
    organization: Organization,
    configuration: Configuration,
    partitions: dg.DailyPartitionsDefinition,
    *,
    users: bool = False,
) -> dg.AssetChecksDefinition:
    """Return the check `anomalous_spend` on the costs of an organization, or on its allocated costs with `users=True`.

    The check on the costs is separate, so that it runs before usage is stored. A check that is started without a
    partition evaluates the trailing days of the refresh (`refresh.trailing_days`).
    """
    key = asset_keys.allocated_costs_key(organization) if users else asset_keys.costs_key(organization)
    levels = "each user" if users else "the organization and each project, service, model and API key"
    spec = dg.AssetCheckSpec(
        asset_paths.ANOMALOUS_SPEND,
        asset=key,
        description=f"The spend of the day is within the usual range, for {levels}.",
        partitions_def=partitions,
    )

    @dg.multi_asset_check(
        name=asset_keys.op_name(organization, f"{asset_paths.ANOMALOUS_SPEND}{'_by_user' if users else ''}"),
        specs=[spec],
        pool=asset_keys.pool(organization.name),
    )
    def anomalous_spend(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        days = days_to_evaluate(context, configuration.refresh.trailing_days)
        evaluations = _evaluate(context, organization, configuration, days, users=users)
        target = targets(context.instance, key, evaluations)
        for day, day_evaluation in evaluations.items():
            yield evaluation(
                key,
                asset_paths.ANOMALOUS_SPEND,
                day,
                passed=not day_evaluation.alerting,
                severity=dg.AssetCheckSeverity.WARN,
                description=_description(day_evaluation),
                metadata={**_metadata(day_evaluation), **_links(organization, key, day)},
                target=target.get(day),
            )
        # Besides the evaluations with a partition, Dagster requires an output for the check and fails the step without
        # it.
        yield dg.Output(None, output_name=spec.get_python_identifier())

    return anomalous_spend


def _evaluate(
    context: dg.AssetCheckExecutionContext,
    organization: Organization,
    configuration: Configuration,
    days: list[dt.date],
    *,
    users: bool,
) -> dict[dt.date, DayEvaluation]:
    trigger = triggers.trigger_of(context.instance, context.run)
    evaluator = Evaluator(organization, configuration, context.run.run_id, trigger, utc_now())
    with database_access.database(configuration).connect() as connection:
        return evaluator.evaluate_anomalies(connection, days, users=users)


def _description(day_evaluation: DayEvaluation) -> str:
    if day_evaluation.alerting:
        return "\n".join(finding.explanation for finding in day_evaluation.alerting)
    if day_evaluation.lower is None or day_evaluation.upper is None:
        return f"Not evaluated: {day_evaluation.history_days} days of history are stored, 14 are needed."
    so_far = " so far" if day_evaluation.provisional else ""
    usual = f"{dollars(day_evaluation.lower)} to {dollars(day_evaluation.upper)}"
    description = f"{dollars(day_evaluation.actual)}{so_far}, usual: {usual}."
    if day_evaluation.findings:
        description += f" {len(day_evaluation.findings)} findings below the alert threshold or muted are stored."
    return description


def _metadata(day_evaluation: DayEvaluation) -> dict[str, Any]:
    """Return the metadata of an evaluated day: figures to plot, a table of all findings, and a chart of the largest
    finding.

    The figures of the whole organization are present on every day. A day that alerts also has the figures of the series
    with the largest finding.
    """
    metadata: dict[str, Any] = {"organization_spend_usd": round(float(day_evaluation.actual), 2)}
    for name in ("expected", "lower", "upper"):
        value = getattr(day_evaluation, name)
        if value is not None:
            metadata[f"organization_{name}_usd"] = round(float(value), 2)
    if day_evaluation.alerting:
        metadata |= _series_metadata(max(day_evaluation.alerting, key=lambda finding: abs(finding.impact)))
    metadata["findings"] = len(day_evaluation.alerting)
    if day_evaluation.findings:
        metadata["all_findings"] = dg.MetadataValue.table([_record(finding) for finding in day_evaluation.findings])
    if day_evaluation.chart_markdown:
        metadata["chart"] = dg.MetadataValue.md(day_evaluation.chart_markdown)
    return metadata


def _series_metadata(finding: Finding) -> dict[str, Any]:
    named = finding.series.names + ([] if finding.line_item is None else [finding.line_item])
    figures = {"spend": finding.actual, "expected": finding.expected, "lower": finding.lower, "upper": finding.upper}
    return {
        "series": printable(f"{finding.level}: {', '.join(named)}") if named else finding.level,
        **{f"series_{name}_usd": round(float(value), 2) for name, value in figures.items()},
    }


def _links(organization: Organization, key: dg.AssetKey, day: dt.date) -> dict[str, Any]:
    """Return an SQL query for the stored rows of the day, and a link to the spend report."""
    view = "allocated_costs" if key == asset_keys.allocated_costs_key(organization) else "daily_costs"
    query = (
        f"select * from openai_costs.{view}\n"  # noqa: S608  # the query is shown and not executed
        f"where organization = '{organization.name}' and usage_date = '{day}'\norder by amount desc nulls last;"
    )
    report = asset_keys.spend_report_key(organization)
    return {"rows": dg.MetadataValue.md(f"```sql\n{query}\n```"), "report": dg.MetadataValue.asset(report)}


def _record(finding: Finding) -> dg.TableRecord:
    values = (round(float(finding.impact), 2), finding.severity, finding.level, printable(finding.explanation))
    return dg.TableRecord(dict(zip(_COLUMNS, values, strict=True)))
