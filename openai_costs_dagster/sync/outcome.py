"""The result of synchronizing costs: totals of each stored day, and the error of each day that was not stored."""

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
    """The totals and checks of one day whose costs were stored. Amounts are in US dollars unless noted."""

    day: dt.date
    amount_usd: Decimal
    row_count: int
    absent_amounts: int
    grouping: str
    provisional: bool
    requests: int
    """The number of requests for all days that were fetched in the same query as this day."""
    change_usd: Decimal | None
    """The new amount of the day minus the amount that was stored before; None if the day was not stored before."""
    reconciled: bool | None
    """Whether the day's rows add up to OpenAI's totals without grouping; None if OpenAI returned no such totals."""
    difference: Decimal | None
    """The sum of the day's rows minus OpenAI's total without grouping, in the currency with the largest difference.

    None if OpenAI returned no total without grouping.
    """
    became_empty: bool
    """Whether OpenAI returned no costs, in two consecutive responses, for a settled day that had spend before."""
    other_totals: Mapping[str | None, Decimal] = field(default_factory=dict)
    """The day's totals in currencies other than US dollars, by currency. `amount_usd` does not include them."""


@dataclass(frozen=True)
class DayFailure:
    """The reason why a day's costs were not stored. Rows that earlier runs stored for the day are unchanged."""

    reason: str
    permanent: bool
    """Whether another attempt can succeed only after a person has acted."""
    kind: str = ""
    """The class name of the Python exception that caused the failure, for example `AuthenticationFailed`."""


@dataclass
class Outcome:
    """The result of a call of `ingest_costs`; every requested day is in `stored`, `failed` or `not_started`."""

    stored: dict[dt.date, DayReport] = field(default_factory=dict)
    failed: dict[dt.date, DayFailure] = field(default_factory=dict)
    outside_retention: set[dt.date] = field(default_factory=set)
    """The days in `failed` that are too old: OpenAI serves costs of about one year."""
    not_started: set[dt.date] = field(default_factory=set)
    """The requested days that have not begun by OpenAI's clock, because the local clock is ahead."""
    clock_warning: str | None = None
    """A warning that the local clock differs from the server's clock; None if the clocks agree."""
    requests: int = 0

    def fail(self, days: Collection[dt.date] | DayRange, error: Exception) -> None:
        """Record that the costs of `days` could not be stored because of `error`."""
        failure = DayFailure(printable(str(error)), permanent=is_permanent(error), kind=type(error).__name__)
        self.failed.update(dict.fromkeys(days, failure))

    @property
    def message(self) -> str:
        """All failures of the run in one message. Each reason appears once, after the days that failed for it.

        The message is empty if no day failed.
        """
        reasons: dict[str, list[dt.date]] = {}
        for day, failure in self.failed.items():
            reasons.setdefault(failure.reason, []).append(day)
        texts = [f"{', '.join(map(str, DayRange.covering(days)))}: {reason}" for reason, days in reasons.items()]
        if texts and self.clock_warning and not any(self.clock_warning in text for text in texts):
            texts.append(self.clock_warning)
        return "; ".join(texts)

    def notes(self) -> list[str]:
        """Return the warnings of the run. Each warning about days starts with the days that it is about."""
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
        """The sum over all stored days in each currency other than US dollars, by currency."""
        totals: dict[str | None, Decimal] = {}
        for report in self.stored.values():
            for currency, amount in report.other_totals.items():
                totals[currency] = money.add(totals.get(currency, _ZERO), amount)
        return totals

    def summary(self) -> dict[str, Any]:
        """Return the outcome as a dictionary that can be encoded as JSON. `spend` is in US dollars."""
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
    """Return whether another attempt can succeed only after a person has acted, as after a rejected key."""
    # After a `LoadMismatch` (stored rows differ from fetched rows), the next run fetches all rows again and may
    # succeed.
    return not isinstance(error, errors.TransientApiError | DatabaseUnavailable | LeaseLost | LoadMismatch)
