"""Builders of cost and usage rows for tests, with defaults for irrelevant fields."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.spend.allocation.allocate import OperationUsage
from openai_costs_dagster.usage_records import UsageRow

INPUT, CACHED, OUTPUT = "gpt-5-mini, input", "gpt-5-mini, cached input", "gpt-5-mini, output"


def cost(
    amount: str | int | Decimal | None,
    line_item: str | None = INPUT,
    *,
    project: str | None = "p",
    user: str | None = None,
    key: str | None = None,
    quantity: int | None = None,
) -> CostRow:
    unit = None if quantity is None else "tokens"
    value = None if amount is None else Decimal(amount)
    return CostRow(project, user, key, line_item, "usd", unit, value, None if quantity is None else Decimal(quantity))


def used(
    user: str | None,
    key: str | None = "k",
    *,
    project: str | None = "p",
    model: str | None = "gpt-5-mini",
    operation: str = "completions",
    batch: bool = False,
    tier: str | None = "default",
    counts: Mapping[str, int | Decimal] | None = None,
    **counters: int,
) -> OperationUsage:
    groups = {"batch": batch, "service_tier": tier}
    return OperationUsage(
        operation,
        UsageRow(
            project,
            user,
            key,
            model,
            groups,
            {name: Decimal(count) for name, count in {**counters, **(counts or {})}.items()},
        ),
    )
