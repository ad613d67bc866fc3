"""Reconciliation: compares the sum of a day's cost rows with the total that OpenAI returns for the same day."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.daily_bill import Bill

_ZERO = Decimal(0)


class Difference(NamedTuple):
    """The sum of a day's cost rows and the total of an ungrouped request, in one currency."""

    currency: str | None
    grouped: Decimal
    ungrouped: Decimal
    allowed: Decimal
    """The largest difference that the rounding of JSON numbers can explain."""

    @property
    def amount(self) -> Decimal:
        """The sum of the cost rows minus the ungrouped total, exact."""
        return money.subtract(self.grouped, self.ungrouped)

    @property
    def is_explained(self) -> bool:
        """Whether rounding can explain the difference.

        Amounts that OpenAI sent as strings are exact, so that their sums must be equal.
        """
        return abs(self.amount) <= self.allowed


def differences(grouped: Bill, ungrouped: Bill) -> list[Difference]:
    """Return the comparison of two bills for each currency.

    If only one bill has a currency, the amount in the other bill counts as 0.
    """
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
    """Return whether two bills have the same total in every currency, apart from rounding errors."""
    return all(difference.is_explained for difference in differences(grouped, ungrouped))
