"""Billed and counted tokens are held against each other by model, within a tolerance."""

from __future__ import annotations

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.spend.allocation import Counted
from openai_costs_dagster.spend.line_items import classify
from openai_costs_dagster.spend.usage_reconciliation import token_differences

from .rows import CACHED, INPUT, OUTPUT, cost, used

COUNTED = [used("ada", input_tokens=90_000, input_cached_tokens=40_000, output_tokens=10_000)]


def said(rows: list[CostRow], usage: list[Counted]) -> list[str]:
    return [
        str(one) for one in token_differences(rows, {row.line_item: classify(row.line_item) for row in rows}, usage)
    ]


def test_what_agrees_is_not_mentioned() -> None:
    rows = [cost(1, INPUT, quantity=50_000), cost(1, CACHED, quantity=40_000), cost(1, OUTPUT, quantity=10_000)]
    assert said(rows, COUNTED) == []


def test_a_hair_and_a_handful_of_tokens_are_within_the_tolerance() -> None:
    assert said([cost(1, INPUT, quantity=101_500)], COUNTED) == []
    assert said([cost(1, INPUT, quantity=900)], []) == []


def test_missing_usage_is_said() -> None:
    assert said([cost(1, INPUT, quantity=50_000)], []) == [
        "gpt-5-mini: 50,000 tokens were billed and none counted (usage is missing)"
    ]


def test_a_free_allowance_is_said() -> None:
    assert said([], COUNTED) == ["gpt-5-mini: 100,000 tokens were counted and none billed (a free allowance?)"]


def test_a_part_that_is_missing_is_said_with_its_share() -> None:
    (sentence,) = said([cost(1, INPUT, quantity=125_000)], COUNTED)
    assert "125,000 tokens billed, 100,000 counted (20.0% apart)" in sentence
