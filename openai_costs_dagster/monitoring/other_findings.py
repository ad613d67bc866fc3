"""Findings that no series of spend tells: settled days that vanished, and unit prices that changed."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.records import SeriesKey, Severity
from openai_costs_dagster.spend.money import dollars
from openai_costs_dagster.spend.price_changes import PriceChange, price_changes
from openai_costs_dagster.warehouse import anomalies, coverage
from openai_costs_dagster.warehouse.anomalies import Finding
from openai_costs_dagster.warehouse.database import Connection

SEVERITIES: tuple[tuple[int, Severity], ...] = ((50, "high"), (10, "medium"))
"""Times the minimum impact."""

_HISTORY = 30 * ONE_DAY  # within which the days lie that say what a price was
_ZERO = Decimal(0)


def severity(impact: Decimal, minimum: Decimal) -> Severity:
    """How serious a finding is, by its dollars alone."""
    return next((name for times, name in SEVERITIES if abs(impact) >= times * minimum), "low")


def vanished_days(
    connection: Connection, organization: str, days: DayRange, minimum: Decimal
) -> dict[dt.date, list[Finding]]:
    """Settled days that held spend and came back empty, in two readings. Smaller ones than the minimum do not alert."""
    muted = [
        one
        for one in anomalies.feedback(connection, organization)
        if one.series == SeriesKey(organization) and one.line_item is None
    ]
    return {
        day.usage_date: [
            Finding(
                usage_date=day.usage_date,
                series=SeriesKey(organization),
                actual=day.amount_usd,
                expected=day.vanished,
                lower=day.vanished,
                upper=day.vanished,
                impact=day.amount_usd - day.vanished,
                score=_ZERO,
                direction="down",
                severity="high",
                reason="vanished",
                explanation=f"The day held {dollars(day.vanished)} and came back empty, in two readings.",
                worth_alerting=abs(day.amount_usd - day.vanished) >= minimum,
                muted=any(one.kind == "mute" and one.first_day <= day.usage_date <= one.last_day for one in muted),
            )
        ]
        for day in coverage.daily_spend(connection, organization, days)
        if day.vanished
    }


def price_findings(
    connection: Connection, organization: str, days: DayRange, minimum: Decimal
) -> dict[dt.date, list[Finding]]:
    """The first days of new unit prices. Smaller ones than the minimum impact are kept and not alerted."""
    history = anomalies.priced_days(connection, organization, DayRange(days.first - _HISTORY, days.last))
    muted = [one for one in anomalies.feedback(connection, organization) if one.line_item is not None]
    found: dict[dt.date, list[Finding]] = {}
    for change in price_changes(history):
        day, label = change.priced.day, change.priced.line_item
        if day in days and label is not None:
            is_muted = any(one.line_item == label and one.first_day <= day <= one.last_day for one in muted)
            found.setdefault(day, []).append(_finding(organization, change, minimum, is_muted=is_muted))
    return found


def _finding(organization: str, change: PriceChange, minimum: Decimal, *, is_muted: bool) -> Finding:
    expected = change.before * change.priced.quantity
    return Finding(
        usage_date=change.priced.day,
        series=SeriesKey(organization),
        line_item=change.priced.line_item,
        actual=change.priced.amount,
        expected=expected,
        lower=expected,
        upper=expected,
        impact=change.impact,
        score=_ZERO,
        direction="up" if change.impact > 0 else "down",
        severity=severity(change.impact, minimum),
        reason="price",
        explanation=str(change),
        worth_alerting=abs(change.impact) >= minimum,
        muted=is_muted,
    )
