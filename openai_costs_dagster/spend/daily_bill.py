"""A day's bill: rows that share a key added up, amounts normalised, totals and what is known of their exactness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.cost_records import CostRow, ReportedCost
from openai_costs_dagster.spend import money

_ZERO = Decimal(0)
_Key = tuple[str | None, str | None, str | None, str | None, str | None, str | None]


@dataclass(frozen=True)
class Bill:
    """What is known of one organization's day beside its rows. By currency; an amount without one is under null."""

    row_count: int
    received: int
    """How many rows came, before those that share a key were added up."""
    absent_amounts: int
    """How many of them had no amount."""
    totals: Mapping[str | None, Decimal]
    """Exact sums."""
    slack: Mapping[str | None, Decimal] = field(default_factory=dict)
    """By how much each total may differ from one that was read otherwise: 0 where all amounts came as strings."""


def bill_of(costs: Iterable[ReportedCost]) -> tuple[list[CostRow], Bill]:
    """Adds up a day: rows that share a key become one, none is dropped, currencies and units are never mixed.

    Raises ValueError for an amount or quantity that is no finite number.
    """
    added: dict[_Key, list[Decimal | None]] = {}
    totals: dict[str | None, Decimal] = {}
    slack: dict[str | None, Decimal] = {}
    received = absent = 0
    for cost in costs:
        key, currency, (read_amount, read_quantity, from_number) = cost[:6], cost.currency, cost[6:]
        received += 1
        quantity = None if read_quantity is None else money.normalised(read_quantity)
        if read_amount is None:
            amount = None
            absent += 1
        else:
            amount = money.normalised(read_amount)
            known = totals.get(currency)
            totals[currency] = amount if known is None else money.add(known, amount)
            if from_number and amount:
                slack[currency] = money.add(slack.get(currency, _ZERO), money.slack_of_number(amount))
        if (values := added.get(key)) is not None:
            values[:] = money.add_known(values[0], amount), money.add_known(values[1], quantity)
        else:
            added[key] = [amount, quantity]
    rows = [CostRow._make((*key, *values)) for key, values in added.items()]
    return rows, Bill(len(rows), received, absent, totals, slack)
