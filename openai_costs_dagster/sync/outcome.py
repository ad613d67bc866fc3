"""The result of synchronizing costs: a report of each stored day and the reason of each failure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from openai_costs_dagster.api import errors
from openai_costs_dagster.cost_records import format_amount
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.spend import money
from openai_costs_dagster.warehouse.errors import DatabaseUnavailable, LeaseLost, LoadMismatch

_ZERO = Decimal(0)


@dataclass(frozen=True)
class DayReport:
    """The report of a stored day. Amounts are in US dollars unless noted."""

    day: dt.date
    amount_usd: Decimal
    row_count: int
    absent_amounts: int
    grouping: str
    provisional: bool
    requests: int
    """Requests for the window that the day belongs to."""
    change_usd: Decimal | None
    """The amount less the amount that was stored before; None if the day was not stored."""
    reconciled: bool | None
    """Whether the rows add up to the ungrouped totals; None without an ungrouped response."""
    difference: Decimal | None
    """The grouped amount less the ungrouped one; None without an ungrouped response."""
    became_empty: bool
    """Whether a settled day had spend before and is empty now, in two consecutive responses."""
    other_totals: Mapping[str | None, Decimal] = field(default_factory=dict)
    """Totals in other currencies, in their own units. No other amount of the report includes them."""


@dataclass(frozen=True)
class DayFailure:
    """The reason why a day was not stored. The rows that were stored for the day before are unchanged."""

    reason: str
    permanent: bool
    """Whether a person has to act before another attempt can succeed."""
    kind: str = ""
    """The class name of the error."""


@dataclass
class Outcome:
    """The result of a call of `ingest_costs`; every requested day is in `stored`, `failed` or `not_started`."""

    stored: dict[dt.date, DayReport] = field(default_factory=dict)
    failed: dict[dt.date, DayFailure] = field(default_factory=dict)
    outside_retention: set[dt.date] = field(default_factory=set)
    """Failed days that are older than the year that OpenAI serves."""
    not_started: set[dt.date] = field(default_factory=set)
    """Requested days that have not begun according to the server, because the local clock is ahead."""
    clock_warning: str | None = None
    """A sentence about a local clock that differs from the server's clock."""
    requests: int = 0

    def fail(self, days: Collection[dt.date] | DayRange, error: Exception) -> None:
        """Record that the days could not be stored."""
        failure = DayFailure(printable(str(error)), permanent=is_permanent(error), kind=type(error).__name__)
        self.failed.update(dict.fromkeys(days, failure))

    @property
    def message(self) -> str:
        """All failures in one message; each reason appears once, after the days that it applies to."""
        reasons: dict[str, list[dt.date]] = {}
        for day, failure in self.failed.items():
            reasons.setdefault(failure.reason, []).append(day)
        texts = [f"{', '.join(map(str, DayRange.covering(days)))}: {reason}" for reason, days in reasons.items()]
        if texts and self.clock_warning and not any(self.clock_warning in text for text in texts):
            texts.append(self.clock_warning)
        return "; ".join(texts)

    def notes(self) -> list[str]:
        """Return warnings about stored days, each with the days that it applies to."""
        warnings = {
            "the rows do not add up to the total that the API bills": [
                day for day, report in self.stored.items() if report.reconciled is False and not report.provisional
            ],
            "OpenAI returned no ungrouped response to check the totals with": [
                day for day, report in self.stored.items() if report.reconciled is None
            ],
            "had spend before and are empty now, in two consecutive responses": [
                day for day, report in self.stored.items() if report.became_empty
            ],
            "the days have not begun according to the server": sorted(self.not_started),
            "some rows have no amount and are stored as null": [
                day for day, report in self.stored.items() if report.absent_amounts
            ],
        }
        notes = [f"{', '.join(map(str, DayRange.covering(days)))}: {text}" for text, days in warnings.items() if days]
        return notes + ([self.clock_warning] if self.clock_warning else [])

    @property
    def other_totals(self) -> dict[str | None, Decimal]:
        """Totals of the stored days in currencies other than US dollars, by currency."""
        totals: dict[str | None, Decimal] = {}
        for report in self.stored.values():
            for currency, amount in report.other_totals.items():
                totals[currency] = money.add(totals.get(currency, _ZERO), amount)
        return totals

    def summary(self) -> dict[str, Any]:
        """Return the outcome as values that can be encoded as JSON; `spend` is in US dollars."""
        return {
            "stored": len(self.stored),
            "requests": self.requests,
            "spend": f"{money.total(report.amount_usd for report in self.stored.values()):.2f}",
            "other_spend": [format_amount(amount, currency) for currency, amount in self.other_totals.items()],
            "failed": {day.isoformat(): failure.reason for day, failure in self.failed.items()},
            "outside_retention": [day.isoformat() for day in sorted(self.outside_retention)],
            "notes": self.notes(),
        }


def is_permanent(error: Exception) -> bool:
    """Return whether a person has to act before another attempt can succeed."""
    # A LoadMismatch counts as transient, because the next run fetches all rows again.
    return not isinstance(error, errors.TransientApiError | DatabaseUnavailable | LeaseLost | LoadMismatch)
