"""Holds what was billed against what was counted: finds missing usage, a wrong proxy, or free allowances.

Costs reconcile to the invoice, usage does not quite: hence a tolerance, and a warning at most.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.records import LineItem
from openai_costs_dagster.spend.allocation.allocate import ModelNames, OperationUsage
from openai_costs_dagster.spend.allocation.allocation_rules import TOKEN_OPERATIONS, billed_counters, counter_value

TOLERANCE = Decimal("0.02")
"""The share of the larger side by which billed and counted may differ."""

LEAST_TOKENS = 1_000
"""Differences of fewer tokens are not worth a word."""

_ZERO = Decimal(0)
_COUNTED = ("input_tokens", "output_tokens")


class TokenDifference(NamedTuple):
    """A model whose billed tokens are not those that were counted."""

    model: str
    billed: Decimal
    counted: Decimal

    def __str__(self) -> str:
        if not self.counted:
            return f"{self.model}: {self.billed:,.0f} tokens were billed and none counted (usage is missing)"
        if not self.billed:
            return f"{self.model}: {self.counted:,.0f} tokens were counted and none billed (a free allowance?)"
        share = abs(self.billed - self.counted) / max(self.billed, self.counted)
        return f"{self.model}: {self.billed:,.0f} tokens billed, {self.counted:,.0f} counted ({share:.1%} apart)"


def token_differences(
    rows: Iterable[CostRow],
    items: Mapping[str | None, LineItem],
    usage: Iterable[OperationUsage],
    names: ModelNames | None = None,
) -> list[TokenDifference]:
    """The models of a day whose billed and counted tokens differ by more than the tolerance, the largest first.

    Models that are billed in another unit than tokens, or without a quantity, cannot be compared and are left out.
    """
    names = names or {}
    billed: dict[str, Decimal] = defaultdict(Decimal)
    in_other_units: set[str] = set()
    without_quantity: set[str] = set()
    for row in rows:
        meter = (
            next(iter(billed_counters(items[row.line_item], row.quantity_unit)), None)
            if row.line_item in items
            else None
        )
        if meter is None or meter.model is None:
            continue
        units = meter.counter_units_per(row.quantity_unit)
        if meter.operations[0] not in TOKEN_OPERATIONS:
            in_other_units.add(meter.model)
        elif units is None or row.quantity is None:
            without_quantity.add(meter.model)
        else:
            billed[meter.model] += row.quantity * units
    incomparable = without_quantity | (in_other_units - billed.keys())
    counts: dict[str, Decimal] = defaultdict(Decimal)
    for one in usage:
        if one.operation in TOKEN_OPERATIONS and one.row.model is not None:
            model = names.get(one.row.model, one.row.model)
            counts[model] += sum((counter_value(one.row, counter) for counter in _COUNTED), _ZERO)
    comparable = sorted({*billed, *counts} - incomparable)
    found = [TokenDifference(model, billed[model], counts[model]) for model in comparable]
    return sorted(filter(_is_notable, found), key=lambda one: -abs(one.billed - one.counted))


def _is_notable(one: TokenDifference) -> bool:
    difference = abs(one.billed - one.counted)
    return difference >= LEAST_TOKENS and difference > TOLERANCE * max(one.billed, one.counted)
