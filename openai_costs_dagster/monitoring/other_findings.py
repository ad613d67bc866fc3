"""Findings that do not come from the detector: costs that vanished from a settled day, and changed unit prices."""

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
"""The severities by the size of the impact, as multiples of the minimum impact.

An impact of at least 50 times the minimum impact is high, and an impact of at least 10 times is medium. An impact below
10 times the minimum impact is low.
"""

# The period before a change whose days are loaded to find the earlier price of a line item.
_PRICE_HISTORY = 30 * ONE_DAY
_ZERO = Decimal(0)


def severity(impact: Decimal, minimum: Decimal) -> Severity:
    """Return the severity of a finding with an impact in US dollars.

    `minimum` is the smallest impact that is alerted.
    """
    return next((name for times, name in SEVERITIES if abs(impact) >= times * minimum), "low")


def vanished_days(
    connection: Connection, organization: str, days: DayRange, minimum: Decimal
) -> dict[dt.date, list[Finding]]:
    """Return a finding for each settled day whose costs were missing in two consecutive responses of OpenAI.

    `minimum` is the smallest loss in US dollars that is alerted.
    """
    muted = [
        answer
        for answer in anomalies.feedback(connection, organization)
        # The finding concerns the whole organization, so a mute of a single project or model does not apply to it.
        if answer.series == SeriesKey(organization) and answer.line_item is None
    ]
    return {
        day.usage_date: [
            Finding(
                usage_date=day.usage_date,
                series=SeriesKey(organization),
                actual=day.amount_usd,
                expected=day.vanished,
                # A vanished day has no usual range, so the amount that was stored before is used as the lower and the
                # upper bound.
                lower=day.vanished,
                upper=day.vanished,
                impact=day.amount_usd - day.vanished,
                score=_ZERO,
                direction="down",
                severity="high",
                reason="vanished",
                explanation=(
                    f"The day had cost {dollars(day.vanished)}. OpenAI has since returned no costs for the day in two "
                    "consecutive responses."
                ),
                worth_alerting=abs(day.amount_usd - day.vanished) >= minimum,
                muted=any(mute.kind == "mute" and mute.first_day <= day.usage_date <= mute.last_day for mute in muted),
            )
        ]
        for day in coverage.daily_spend(connection, organization, days)
        if day.vanished
    }


def price_findings(
    connection: Connection, organization: str, days: DayRange, minimum: Decimal
) -> dict[dt.date, list[Finding]]:
    """Return a finding for the first day of each changed unit price, by day.

    A change with an impact below `minimum` US dollars is stored, but not alerted.
    """
    history = anomalies.priced_days(connection, organization, DayRange(days.first - _PRICE_HISTORY, days.last))
    muted = [answer for answer in anomalies.feedback(connection, organization) if answer.line_item is not None]
    found: dict[dt.date, list[Finding]] = {}
    for change in price_changes(history):
        day, label = change.priced.day, change.priced.line_item
        # The days before the range only provide the earlier price. Price changes on those days were reported by earlier
        # runs.
        if day in days and label is not None:
            is_muted = any(mute.line_item == label and mute.first_day <= day <= mute.last_day for mute in muted)
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
