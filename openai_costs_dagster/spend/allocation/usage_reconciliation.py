"""Compares billed tokens with counted tokens by model, to detect missing usage and free allowances.

OpenAI's costs add up to the invoice, but its usage does not match its costs exactly. The comparison therefore has a
tolerance, and a difference is only a warning.
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
"""The largest difference between billed and counted tokens that is not reported, as a share of the larger number."""

MIN_TOKENS = 1_000
"""Smaller differences are not reported, in tokens."""

_ZERO = Decimal(0)
_TOTAL_COUNTERS = ("input_tokens", "output_tokens")


class TokenDifference(NamedTuple):
    """A model whose billed tokens and counted tokens of a day differ."""

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
    """Return the models whose billed and counted tokens of a day differ beyond the tolerance, the largest difference
    first.

    Models that are billed in other units than tokens, or without a quantity, cannot be compared and are left out.
    """
    names = names or {}
    billed: dict[str, Decimal] = defaultdict(Decimal)
    in_other_units: set[str] = set()
    without_quantity: set[str] = set()
    for row in rows:
        item = items.get(row.line_item)
        counter = next(iter(billed_counters(item, row.quantity_unit)), None) if item else None
        if counter is None or counter.model is None:
            continue
        factor = counter.counter_units_per(row.quantity_unit)
        if counter.operations[0] not in TOKEN_OPERATIONS:
            in_other_units.add(counter.model)
        elif factor is None or row.quantity is None:
            without_quantity.add(counter.model)
        else:
            billed[counter.model] += row.quantity * factor
    # A model that is billed in tokens and in another unit can still be compared by its tokens.
    incomparable = without_quantity | (in_other_units - billed.keys())
    counted: dict[str, Decimal] = defaultdict(Decimal)
    for used in usage:
        if used.operation in TOKEN_OPERATIONS and used.row.model is not None:
            model = names.get(used.row.model, used.row.model)
            counted[model] += sum((counter_value(used.row, name) for name in _TOTAL_COUNTERS), _ZERO)
    comparable = sorted({*billed, *counted} - incomparable)
    differences = [TokenDifference(model, billed[model], counted[model]) for model in comparable]
    return sorted(filter(_is_notable, differences), key=lambda found: -abs(found.billed - found.counted))


def _is_notable(found: TokenDifference) -> bool:
    difference = abs(found.billed - found.counted)
    return difference >= MIN_TOKENS and difference > TOLERANCE * max(found.billed, found.counted)
