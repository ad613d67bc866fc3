"""The asset `openai/spend_report`: one HTML page about the spend of all organizations, written after each refresh."""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import dagster as dg

from openai_costs_dagster.charts import svg
from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import ONE_DAY, RECENT_DAYS, utc_now
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.report.contents import SpendReport
from openai_costs_dagster.report.cube import daily_dollars
from openai_costs_dagster.report.locations import report_path
from openai_costs_dagster.report.page import WrittenReport, write_report

_CHART_DAYS = 60
_DESCRIPTION = """One HTML page about the OpenAI spend of all organizations, for people without access to Dagster.

The page shows spend by day, the month with its budgets and forecast, changes and their causes, anomalies, users, API
keys, unit costs, and the freshness of the data. It works without a network, with filters in the page. The path of the
file is in the metadata. `openai-costs report --out FILE` writes the same page to another file."""


def report_asset(
    configuration: Configuration,
    deps: Sequence[dg.AssetKey],
    *,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Return the asset `spend_report`. `deps` are the keys of the allocated costs of all organizations."""

    @dg.asset(
        key=asset_keys.spend_report_key(configuration),
        deps=deps,
        description=_DESCRIPTION,
        automation_condition=automation_condition,
        group_name=asset_keys.SHARED_GROUP,
        kinds={"postgres", "html"},
        code_version="1",
    )
    def spend_report() -> dg.MaterializeResult[Any]:
        written = write_report(
            report_path(configuration), configuration, database_access.database(configuration), utc_now()
        )
        return dg.MaterializeResult(metadata=_metadata(written))

    return spend_report


def _metadata(written: WrittenReport) -> dict[str, Any]:
    """Return the path and the main figures of the written page. Dagster plots the numbers from run to run."""
    report = written.report
    forecasts = [one.forecast for one in report.organizations if one.forecast is not None]
    metadata: dict[str, Any] = {
        "page": dg.MetadataValue.path(written.path),
        "size_mb": round(written.size_bytes / 1e6, 2),
        "month_to_date_usd": _number(sum((one.month_to_date for one in report.organizations), Decimal(0))),
        f"open_anomalies_of_{RECENT_DAYS}_days": sum(one.open_anomalies for one in report.organizations),
        "organizations_with_problems": sum(bool(one.required_actions) for one in report.organizations),
        "days": f"{report.first_day} to {report.last_day}",
        "spend_by_day": dg.MetadataValue.md(_chart(report)),
    }
    if other := [amount for one in report.organizations for amount in one.month_in_other_currencies]:
        metadata["month_to_date_in_other_currencies"] = ", ".join(other)
    if forecasts:
        metadata["month_forecast_usd"] = _number(sum(forecasts, Decimal(0)))
    return metadata


def _chart(report: SpendReport) -> str:
    """Return a bar chart of the total spend per day over the last 60 days, as Markdown with an SVG image."""
    first = max(report.first_day, report.last_day - (_CHART_DAYS - 1) * ONE_DAY)
    dollars = daily_dollars(report.cube, (report.last_day - report.first_day).days + 1)
    days = [report.first_day + dt.timedelta(days=number) for number in range(len(dollars))]
    bars = [svg.Bar(day, amount) for day, amount in zip(days, dollars, strict=True) if day >= first]
    return svg.bars_markdown("US dollars a day, all organizations", bars)


def _number(dollars: Decimal) -> float:
    return round(float(dollars), 2)
