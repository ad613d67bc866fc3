"""The evaluation of one UTC day with its findings, and the segments of spend that explain a finding."""

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
    """The evaluation of one organization's UTC day, in US dollars.

    `expected`, `lower` and `upper` are None while the history is too short.
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
    """The chart of the largest finding's series, as SVG in Markdown."""
    chart_png: bytes | None = None
    """The same chart as PNG, for channels that do not show SVG."""

    @property
    def alerting(self) -> list[Finding]:
        """The findings that are worth an alert and not muted."""
        return [finding for finding in self.findings if is_alerting(finding)]


def is_alerting(finding: Finding) -> bool:
    """Return whether a finding is worth an alert and not muted."""
    return finding.worth_alerting and not finding.muted


def segments_of(details: Iterable[SpendDetail], days: Collection[dt.date], weeks: int) -> list[Segment]:
    """Group spend into segments with their usual amounts.

    The details on `days` make up the present spend. All other details lie on reference days in `weeks` earlier weeks,
    and their average per week is the usual amount.
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
    # The quantity unit may be None, which Python cannot compare with text.
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
                # `weeks` is 0 if the history is shorter than a week.
                usual_amount=sum((detail.amount for detail in before), _ZERO) / max(weeks, 1),
                # A segment without present spend has the quantity zero, while a line item without a quantity has an
                # unknown one.
                quantity=_quantity(now) if now else _ZERO,
                usual_quantity=None if usual_quantity is None else usual_quantity / max(weeks, 1),
            )
        )
    return segments


def _quantity(details: Iterable[SpendDetail]) -> Decimal | None:
    known = [detail.quantity for detail in details if detail.quantity is not None]
    return money.total(known) if known else None


def cents(value: float) -> Decimal:
    """Round US dollars to cents."""
    # `Decimal(value)` would take over all binary digits of the float, which can change the rounding of half a cent.
    return Decimal(str(value)).quantize(_CENTS)
