"""The asset `openai/spend_report`: one HTML page about all organizations, made anew when costs are."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
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

_PICTURED = 60  # days
_DESCRIPTION = """One HTML page about what all organizations spend on OpenAI, for people who never open Dagster.

Spend by day, the month with its budgets and forecast, what moved and why, anomalies, users and API keys, unit
costs, and how fresh all of it is; filtered in the page. It needs no network: open it, send it, print it. The file's
path is in the metadata; `openai-costs report --out FILE` writes the same page elsewhere."""


def report_asset(
    configuration: Configuration,
    deps: Sequence[dg.AssetKey],
    *,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Makes the report's asset; `deps` are what it is made of."""

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
    """Where the page is, and its headline figures; numbers plot from run to run."""
    report = written.report
    forecasts = [one.forecast for one in report.organizations if one.forecast is not None]
    metadata: dict[str, Any] = {
        "page": dg.MetadataValue.path(written.path),
        "size_mb": round(written.size_bytes / 1e6, 2),
        "month_to_date_usd": _number(sum((one.month_to_date for one in report.organizations), Decimal(0))),
        f"open_anomalies_of_{RECENT_DAYS}_days": sum(one.open_anomalies for one in report.organizations),
        "organizations_that_need_a_person": sum(bool(one.needs) for one in report.organizations),
        "days": f"{report.first_day} to {report.last_day}",
        "spend_by_day": dg.MetadataValue.md(_picture(report)),
    }
    if other := [amount for one in report.organizations for amount in one.month_in_other_currencies]:
        metadata["month_to_date_in_other_currencies"] = ", ".join(other)
    if forecasts:
        metadata["month_forecast_usd"] = _number(sum(forecasts, Decimal(0)))
    return metadata


def _picture(report: SpendReport) -> str:
    """The last days of all organizations together."""
    first = max(report.first_day, report.last_day - (_PICTURED - 1) * ONE_DAY)
    dollars = daily_dollars(report.cube, (report.last_day - report.first_day).days + 1)
    days = [report.first_day + dt.timedelta(days=number) for number in range(len(dollars))]
    bars = [svg.Bar(day, amount) for day, amount in zip(days, dollars, strict=True) if day >= first]
    return svg.bars_markdown("US dollars a day, all organizations", bars)


def _number(dollars: Decimal) -> float:
    return round(float(dollars), 2)
