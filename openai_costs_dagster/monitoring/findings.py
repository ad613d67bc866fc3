"""The findings of one evaluated day, and their conversion between database rows, series and parts of spend."""

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
    """What is said of one organization's day; US dollars. `expected` is null while too little is known."""

    day: dt.date
    actual: Decimal
    provisional: bool
    expected: Decimal | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    history_days: int = 0
    findings: list[Finding] = field(default_factory=list)
    chart_markdown: str | None = None
    """The series of the largest finding, as Markdown."""
    chart_png: bytes | None = None
    """The same for channels that show no Markdown: a PNG."""

    @property
    def alerting(self) -> list[Finding]:
        """What is worth someone's time and not muted."""
        return [finding for finding in self.findings if finding.worth_alerting and not finding.muted]


def segments_of(details: Iterable[SpendDetail], days: Collection[dt.date], references: int) -> list[Segment]:
    """What makes up some days beside what usually does: the mean of the other days, `references` times as many."""
    now: dict[_SegmentKey, list[SpendDetail]] = {}
    before: dict[_SegmentKey, list[SpendDetail]] = {}
    for one in details:
        key: _SegmentKey = (one.project, one.model, one.api_key, one.line_item, one.kind, one.quantity_unit)
        (now if one.usage_date in days else before).setdefault(key, []).append(one)
    parts = []
    for key in sorted({*now, *before}, key=str):
        present, earlier = now.get(key, []), before.get(key, [])
        project, model, api_key, line_item, kind, unit = key
        usual_quantity = _quantity(earlier)
        parts.append(
            Segment(
                project=project,
                model=model,
                api_key=api_key,
                line_item=line_item,
                kind=kind,
                unit=unit,
                amount=money.total(one.amount for one in present),
                usual_amount=sum((one.amount for one in earlier), _ZERO) / max(references, 1),
                quantity=_quantity(present) if present else _ZERO,
                usual_quantity=None if usual_quantity is None else usual_quantity / max(references, 1),
            )
        )
    return parts


def _quantity(details: Iterable[SpendDetail]) -> Decimal | None:
    known = [one.quantity for one in details if one.quantity is not None]
    return money.total(known) if known else None


def cents(value: float) -> Decimal:
    """Round US dollars to cents."""
    return Decimal(str(value)).quantize(_CENTS)
