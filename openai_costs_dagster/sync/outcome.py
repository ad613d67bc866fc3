"""What became of the days that a run was asked for: stored, with what is to be known of them, or failed, with why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from openai_costs_dagster.api import errors
from openai_costs_dagster.cost_records import format_amount
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.spend import money
from openai_costs_dagster.warehouse.errors import DatabaseUnavailable, LoadMismatch

_ZERO = Decimal(0)


@dataclass(frozen=True)
class DayReport:
    """What was stored of a day; amounts in US dollars."""

    day: dt.date
    amount_usd: Decimal
    row_count: int
    absent_amounts: int
    grouping: str
    provisional: bool
    requests: int
    """How many requests brought the day's whole window."""
    change_usd: Decimal | None
    """Against the version stored before; None the first time."""
    reconciled: bool | None
    difference: Decimal | None
    """Grouped less ungrouped answer; None where there was no second answer."""
    came_back_empty: bool
    """A settled day that held spend is empty now, in two readings."""
    other_totals: Mapping[str | None, Decimal] = field(default_factory=dict)
    """What was billed in other currencies, by currency; in none of the amounts above."""


@dataclass(frozen=True)
class DayFailure:
    """Why a day was not stored; nothing of it was touched."""

    reason: str
    permanent: bool
    kind: str = ""
    """What went wrong, by the name of its error."""


@dataclass
class Outcome:
    """What became of each day that was asked for."""

    stored: dict[dt.date, DayReport] = field(default_factory=dict)
    failed: dict[dt.date, DayFailure] = field(default_factory=dict)
    outside_retention: set[dt.date] = field(default_factory=set)
    """Those of the failed days that lie before what the API serves."""
    requests: int = 0

    def fail(self, days: Collection[dt.date] | DayRange, error: Exception) -> None:
        """Says of days why they could not be stored."""
        failure = DayFailure(str(error), permanent=is_permanent(error), kind=type(error).__name__)
        self.failed.update(dict.fromkeys(days, failure))

    @property
    def message(self) -> str:
        """The failures in one sentence, each reason once with its days."""
        reasons: dict[str, list[dt.date]] = {}
        for day, failure in self.failed.items():
            reasons.setdefault(failure.reason, []).append(day)
        return "; ".join(
            f"{', '.join(map(str, DayRange.covering(days)))}: {reason}" for reason, days in reasons.items()
        )

    def notes(self) -> list[str]:
        """What a person should know of days that were stored, in sentences."""
        said = {
            "the rows do not add up to the total that the API bills": [
                day for day, report in self.stored.items() if report.reconciled is False and not report.provisional
            ],
            "the second, ungrouped answer could not be had": [
                day for day, report in self.stored.items() if report.reconciled is None
            ],
            "held spend and came back empty, in two readings": [
                day for day, report in self.stored.items() if report.came_back_empty
            ],
            "rows came without an amount and are stored as null": [
                day for day, report in self.stored.items() if report.absent_amounts
            ],
        }
        return [f"{', '.join(map(str, DayRange.covering(days)))}: {text}" for text, days in said.items() if days]

    @property
    def other_totals(self) -> dict[str | None, Decimal]:
        """What the stored days were billed in currencies other than US dollars, by currency."""
        totals: dict[str | None, Decimal] = {}
        for report in self.stored.values():
            for currency, amount in report.other_totals.items():
                totals[currency] = money.add(totals.get(currency, _ZERO), amount)
        return totals

    def summary(self) -> dict[str, Any]:
        """The outcome in values that JSON knows; spend in US dollars."""
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
    """Whether a person has to act before asking again helps."""
    return not isinstance(error, errors.TransientApiError | DatabaseUnavailable | LoadMismatch)
