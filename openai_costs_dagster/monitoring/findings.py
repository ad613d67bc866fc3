"""The evaluation of one UTC day with its findings, and the comparison of spend with the weeks before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.price_volume_mix import Segment
from openai_costs_dagster.warehouse.anomalies import Finding, SpendDetail

_CENTS = Decimal("0.01")
_ZERO = Decimal(0)
_SegmentKey = tuple[str, str, str, str, str, str | None]


@dataclass(frozen=True)
class DayEvaluation:
    """The evaluation of one UTC day of an organization. Amounts are in US dollars.

    `expected`, `lower` and `upper` describe the usual spend of the whole organization. The fields `expected`, `lower`
    and `upper` are None if less than 14 days of history are stored.
    """

    day: dt.date
    actual: Decimal
    provisional: bool
    expected: Decimal | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    history_days: int = 0
    """The number of days from the organization's first spend to this day."""
    findings: list[Finding] = field(default_factory=list)
    chart_markdown: str | None = None
    """The chart of the first finding that alerts, as an SVG image in Markdown."""
    chart_png: bytes | None = None
    """The chart of the first finding that alerts, as a PNG image for channels that do not show SVG."""

    @property
    def alerting(self) -> list[Finding]:
        """The findings that are large enough for an alert and whose series is not muted."""
        return [finding for finding in self.findings if is_alerting(finding)]


def is_alerting(finding: Finding) -> bool:
    """Return whether a finding is large enough for an alert and its series is not muted."""
    return finding.worth_alerting and not finding.muted


def segments_of(details: Iterable[SpendDetail], days: Collection[dt.date], weeks: int) -> list[Segment]:
    """Group spend by project, model, API key, line item, kind and unit, and add the usual spend of each group.

    Entries of `details` on `days` are the present spend. All other entries of `details` lie on the same weekdays of
    `weeks` earlier weeks, and the average of a week is the usual spend.
    """
    present: dict[_SegmentKey, list[SpendDetail]] = {}
    reference: dict[_SegmentKey, list[SpendDetail]] = {}
    for detail in details:
        key: _SegmentKey = (
            detail.project,
            detail.model,
            detail.api_key,
            detail.line_item,
            detail.kind,
            detail.quantity_unit,
        )
        (present if detail.usage_date in days else reference).setdefault(key, []).append(detail)
    segments = []
    # The keys are compared as text, because the unit may be None and Python cannot compare None with text.
    for key in sorted({*present, *reference}, key=str):
        now, before = present.get(key, []), reference.get(key, [])
        project, model, api_key, line_item, kind, unit = key
        usual_quantity = _quantity(before)
        segments.append(
            Segment(
                project=project,
                model=model,
                api_key=api_key,
                line_item=line_item,
                kind=kind,
                unit=unit,
                amount=money.total(detail.amount for detail in now),
                # A history of less than a week has no earlier week, so `weeks` may be 0.
                usual_amount=sum((detail.amount for detail in before), _ZERO) / max(weeks, 1),
                # A group that is only in the earlier weeks has a present quantity of zero, because None stands for an
                # unknown quantity.
                quantity=_quantity(now) if now else _ZERO,
                usual_quantity=None if usual_quantity is None else usual_quantity / max(weeks, 1),
            )
        )
    return segments


def _quantity(details: Iterable[SpendDetail]) -> Decimal | None:
    known = [detail.quantity for detail in details if detail.quantity is not None]
    return money.total(known) if known else None


def cents(value: float) -> Decimal:
    """Return an amount in US dollars, rounded to cents."""
    # `Decimal(value)` would keep all binary digits of the float, which can change the rounding of half a cent.
    return Decimal(str(value)).quantize(_CENTS)
