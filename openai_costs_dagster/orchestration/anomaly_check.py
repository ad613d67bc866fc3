"""The check `anomalous_spend`: each day's total against the same weekday of past weeks. A warning, never a failure."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.orchestration import names, server
from openai_costs_dagster.orchestration.evaluations import evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_of
from openai_costs_dagster.spend.same_weekday import WEEKS, Verdict, judge
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.reading import DaySpend, daily_spend

_HISTORY = dt.timedelta(weeks=WEEKS)


def anomaly_check(
    organization: Organization, configuration: Configuration, partitions: dg.DailyPartitionsDefinition
) -> dg.AssetChecksDefinition:
    """Makes an organization's `anomalous_spend`; started without a partition it judges the trailing window."""
    key = names.costs_key(organization.name)
    spec = dg.AssetCheckSpec(
        names.ANOMALOUS_SPEND,
        asset=key,
        description="The day's spend is like the same weekday of the past weeks.",
        partitions_def=partitions,
    )

    @dg.multi_asset_check(
        name=names.op_name(organization.name, names.ANOMALOUS_SPEND), specs=[spec], pool=names.pool(organization.name)
    )
    def anomalous_spend(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        days = _days_to_judge(context, configuration.refresh.trailing_days)
        with server.database(configuration).connect() as connection:
            verdicts = verdicts_of(connection, organization, configuration, days)
        target = targets(context.instance, key, verdicts)
        for day, verdict in verdicts.items():
            yield evaluation(
                key,
                names.ANOMALOUS_SPEND,
                day,
                passed=not verdict.flagged,
                severity=dg.AssetCheckSeverity.WARN,
                description=verdict.explanation,
                metadata=_metadata(verdict),
                target=target.get(day),
            )
        yield dg.Output(None, output_name=spec.get_python_identifier())

    return anomalous_spend


def verdicts_of(
    connection: Connection, organization: Organization, configuration: Configuration, days: list[dt.date]
) -> dict[dt.date, Verdict]:
    """Judges those of `days` that are stored, oldest first."""
    wanted = DayRange(min(days), max(days))
    stored = daily_spend(connection, organization.name, DayRange(wanted.first - _HISTORY, wanted.last))
    history = _since_first_spend(stored)
    asked = set(days)
    return {
        day.usage_date: _verdict(day, history, configuration)
        for day in stored
        if day.usage_date in asked and (day.usage_date in history or day.vanished)
    }


def _since_first_spend(stored: list[DaySpend]) -> dict[dt.date, Decimal]:
    """Spend by day without the empty days before an organization began to spend: they are no baseline."""
    began = next((day.usage_date for day in stored if day.amount_usd), dt.date.max)
    return {day.usage_date: day.amount_usd for day in stored if day.usage_date >= began}


def _verdict(day: DaySpend, history: dict[dt.date, Decimal], configuration: Configuration) -> Verdict:
    if day.vanished:
        said = f"The day held ${day.vanished:,.2f} and came back empty, in two readings."
        return Verdict(day.usage_date, day.amount_usd, expected=day.vanished, flagged=True, explanation=said)
    return judge(
        day.usage_date,
        history,
        provisional=day.provisional,
        sensitivity=configuration.anomalies.sensitivity,
        minimum_impact=configuration.anomalies.minimum_impact_usd,
    )


def _days_to_judge(context: dg.AssetCheckExecutionContext, trailing_days: int) -> list[dt.date]:
    if context.has_partition_key or context.has_partition_key_range:
        return days_of(context)
    today = utc_now().date()
    return list(DayRange(today - dt.timedelta(days=trailing_days - 1), today))


def _metadata(verdict: Verdict) -> dict[str, Any]:
    metadata: dict[str, Any] = {"actual_usd": round(float(verdict.actual), 2)}
    for name in ("expected", "lower", "upper"):
        value = getattr(verdict, name)
        if value is not None:
            metadata[f"{name}_usd"] = round(float(value), 2)
    return metadata
