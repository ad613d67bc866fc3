"""Reconciliation: compares the grouped costs of a day with the ungrouped total of the same day."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.daily_bill import Bill

_ZERO = Decimal(0)


class Difference(NamedTuple):
    """The grouped and the ungrouped sum of one day in one currency."""

    currency: str | None
    grouped: Decimal
    ungrouped: Decimal
    allowed: Decimal
    """The difference that rounding of JSON numbers can explain."""

    @property
    def amount(self) -> Decimal:
        """The grouped sum less the ungrouped sum, exact."""
        return money.subtract(self.grouped, self.ungrouped)

    @property
    def is_explained(self) -> bool:
        """Whether rounding explains the difference. Sums of amounts that came as strings must be equal."""
        return abs(self.amount) <= self.allowed


def differences(grouped: Bill, ungrouped: Bill) -> list[Difference]:
    """Return one entry for each currency of either bill. A currency that one bill lacks counts as 0 in that bill."""
    currencies = sorted({*grouped.totals, *ungrouped.totals}, key=lambda currency: currency or "")
    return [
        Difference(
            currency,
            grouped.totals.get(currency, _ZERO),
            ungrouped.totals.get(currency, _ZERO),
            money.add(grouped.slack.get(currency, _ZERO), ungrouped.slack.get(currency, _ZERO)),
        )
        for currency in currencies
    ]


def reconciles(grouped: Bill, ungrouped: Bill) -> bool:
    """Return whether both bills have the same total in every currency, apart from rounding."""
    return all(difference.is_explained for difference in differences(grouped, ungrouped))
