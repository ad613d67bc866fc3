"""The costs of one UTC day: cost rows without duplicates, exact totals by currency, and the rounding errors of the
totals.
"""

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
    """The totals of an organization's UTC day by currency. Amounts without a currency are stored under the key None."""

    row_count: int
    received: int
    """The number of rows in OpenAI's response.

    Several of them may become one cost row, if they agree in project, line item, user and API key.
    """
    absent_amounts: int
    """The number of rows in OpenAI's response that have no amount."""
    totals: Mapping[str | None, Decimal]
    """The exact sum of the amounts in each currency."""
    slack: Mapping[str | None, Decimal] = field(default_factory=dict)
    """The largest possible rounding error of each total.

    Only an amount that OpenAI sent as a JSON number can be inexact.
    """


def bill_of(costs: Iterable[ReportedCost]) -> tuple[list[CostRow], Bill]:
    """Add up the costs that OpenAI returned for one day, and return the cost rows with their totals.

    Costs with equal keys become one row. No cost is dropped, and currencies and units are never mixed. Raises
    `ValueError` if an amount or a quantity is not a finite number.
    """
    added: dict[_Key, list[Decimal | None]] = {}
    totals: dict[str | None, Decimal] = {}
    slack: dict[str | None, Decimal] = {}
    received = absent = 0
    for cost in costs:
        # The first six fields of a `ReportedCost` form the key of a `CostRow`.
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
