"""Holds a day's grouped bill against a second, ungrouped answer for the same day."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.daily_bill import Bill

_ZERO = Decimal(0)


class Difference(NamedTuple):
    """What one currency's two sums differ by (grouped less ungrouped), and by how much they may."""

    currency: str | None
    grouped: Decimal
    ungrouped: Decimal
    allowed: Decimal

    @property
    def amount(self) -> Decimal:
        """Grouped less ungrouped, exact."""
        return money.subtract(self.grouped, self.ungrouped)

    @property
    def is_explained(self) -> bool:
        """Whether it is no more than amounts in number form account for; nothing is where all came as strings."""
        return abs(self.amount) <= self.allowed


def differences(grouped: Bill, ungrouped: Bill) -> list[Difference]:
    """One entry for every currency of either side. A currency that one side lacks counts as 0 there."""
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
    """Whether both answers bill the same."""
    return all(difference.is_explained for difference in differences(grouped, ungrouped))
