"""Tests of changes of unit prices: reported once, on the first day, and only for steady prices."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.records import PricedDay
from openai_costs_dagster.spend.explanation import shorten
from openai_costs_dagster.spend.price_changes import PriceChange, price_changes

START = dt.date(2026, 3, 1)


def priced(prices: list[str], *, quantity: int = 1_000_000, label: str = "gpt-5-mini, input") -> list[PricedDay]:
    """Return one day of usage for each price, in US dollars per million tokens."""
    return [
        PricedDay(
            START + day * ONE_DAY,
            label,
            "tokens",
            Decimal(price) * quantity / 1_000_000,
            Decimal(quantity),
            label.partition(",")[0],
        )
        for day, price in enumerate(prices)
    ]


def days(found: list[PriceChange]) -> list[int]:
    return [(change.priced.day - START).days for change in found]


def test_new_price_is_reported_on_its_first_day_only() -> None:
    found = price_changes(priced(["5", "5", "5", "5", "6", "6", "6", "6", "6", "6", "6", "6"]))
    assert days(found) == [4]
    assert str(found[0]) == (
        "The unit price of gpt-5-mini, input rose by 20.0%, to $6 a million tokens from $5: $1.00 more on the day."
    )


def test_lower_price_is_reported_with_its_savings() -> None:
    (found,) = price_changes(priced(["5", "5", "5", "4"], quantity=50_000_000))
    assert found.impact == -50
    assert "fell by 20.0%" in str(found)
    assert "$50.00 less" in str(found)


def test_fluctuating_price_is_not_reported() -> None:
    assert price_changes(priced(["5", "5.3", "4.8", "5.2", "4.9", "5.4", "6"])) == []


def test_first_days_of_a_line_item_are_not_reported() -> None:
    assert price_changes(priced(["5", "6"])) == []


def test_result_is_independent_of_order_and_other_line_items() -> None:
    first, second = priced(["5", "5", "5", "6"]), priced(["9", "9", "9", "9"], label="o3, output")
    assert price_changes([*second, *first][::-1]) == price_changes(first)


def renamed(before: str, after: str, *, overlap: bool = False) -> list[PricedDay]:
    """Return four days at $5 under one model name, then one day at $6 under another name."""
    first = priced(["5", "5", "5", "5", "5"] if overlap else ["5", "5", "5", "5"], label=f"{before}, input")
    return [*first, *priced(["6"] * 5, label=f"{after}, input")[4:]]


@pytest.mark.parametrize(
    ("before", "after"), [("gpt-image-2", "gpt-image-2-2026-04-21"), ("gpt-image-2-2026-04-21", "gpt-image-2")]
)
def test_price_change_is_found_across_alias_and_snapshot(before: str, after: str) -> None:
    (found,) = price_changes(renamed(before, after))
    assert found.priced.line_item == f"{after}, input"
    assert found.before * 1_000_000 == 5


def test_prices_of_two_snapshots_are_not_compared() -> None:
    assert price_changes(renamed("gpt-5-2026-04-21", "gpt-5-2026-06-01")) == []


def test_alias_and_snapshot_billed_on_the_same_day_are_not_compared() -> None:
    assert price_changes(renamed("gpt-5", "gpt-5-2026-06-01", overlap=True)) == []


def test_long_line_item_is_shortened() -> None:
    assert shorten("a" * 100) == "a" * 100
    assert shorten("a" * 6000) == "a" * 99 + "\u2026"
