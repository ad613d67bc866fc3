"""Tests of the comparison of billed and counted tokens by model."""

from __future__ import annotations

from decimal import Decimal

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.spend.allocation.allocate import OperationUsage
from openai_costs_dagster.spend.allocation.usage_reconciliation import token_differences
from openai_costs_dagster.spend.line_items import classify

from ..rows import CACHED, INPUT, OUTPUT, cost, used

COUNTED = [used("ada", input_tokens=90_000, input_cached_tokens=40_000, output_tokens=10_000)]


def messages(rows: list[CostRow], usage: list[OperationUsage]) -> list[str]:
    return [
        str(difference)
        for difference in token_differences(rows, {row.line_item: classify(row.line_item) for row in rows}, usage)
    ]


def test_equal_tokens_are_not_reported() -> None:
    rows = [cost(1, INPUT, quantity=50_000), cost(1, CACHED, quantity=40_000), cost(1, OUTPUT, quantity=10_000)]
    assert messages(rows, COUNTED) == []


def test_small_differences_are_within_tolerance() -> None:
    assert messages([cost(1, INPUT, quantity=101_500)], COUNTED) == []
    assert messages([cost(1, INPUT, quantity=900)], []) == []


def test_missing_usage_is_reported() -> None:
    assert messages([cost(1, INPUT, quantity=50_000)], []) == [
        "gpt-5-mini: 50,000 tokens were billed and none counted (usage is missing)"
    ]


def test_unbilled_usage_is_reported() -> None:
    assert messages([], COUNTED) == ["gpt-5-mini: 100,000 tokens were counted and none billed (a free allowance?)"]


def test_partial_difference_is_reported_with_its_share() -> None:
    (message,) = messages([cost(1, INPUT, quantity=125_000)], COUNTED)
    assert "125,000 tokens billed, 100,000 counted (20.0% apart)" in message


def test_image_tokens_are_compared() -> None:
    label = "gpt-image-1 image, output"
    counted = [
        used("ada", model="gpt-image-1", output_tokens=8_000, output_image_tokens=8_000),
        used("ada", model="gpt-image-1", operation="images", images=4),
    ]
    assert messages([cost(8, label, quantity=8_000)], counted) == []


def test_model_billed_in_another_unit_is_not_compared() -> None:
    counted = [used("ada", model="gpt-4o-transcribe", input_tokens=90_000)]
    row = cost(8, "gpt-4o-transcribe")._replace(quantity=Decimal(60), quantity_unit="duration_minutes")
    assert messages([row], counted) == []


def test_model_billed_without_quantity_is_not_compared() -> None:
    assert messages([cost(8, INPUT), cost(1, OUTPUT, quantity=10_000)], COUNTED) == []


def test_usage_under_alias_is_compared_with_the_billed_snapshot() -> None:
    counted = [used("ada", model="gpt-image-2", output_tokens=8_000)]
    rows = [cost(8, "gpt-image-2-2026-04-21 image, output", quantity=8_000)]
    items = {row.line_item: classify(row.line_item) for row in rows}
    assert token_differences(rows, items, counted, {"gpt-image-2": "gpt-image-2-2026-04-21"}) == []
