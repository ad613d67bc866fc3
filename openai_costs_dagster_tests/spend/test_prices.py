"""A changed unit price is told once, on its first day, and a price that wanders is not."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.spend.prices import PriceChange, Priced, price_changes

START = dt.date(2026, 3, 1)


def priced(prices: list[str], *, quantity: int = 1_000_000, label: str = "gpt-5-mini, input") -> list[Priced]:
    """A day for each price of a million tokens."""
    return [
        Priced(START + day * ONE_DAY, label, "tokens", Decimal(price) * quantity / 1_000_000, Decimal(quantity))
        for day, price in enumerate(prices)
    ]


def days(found: list[PriceChange]) -> list[int]:
    return [(one.priced.day - START).days for one in found]


def test_a_new_price_is_told_on_its_first_day_alone() -> None:
    found = price_changes(priced(["5", "5", "5", "5", "6", "6", "6", "6", "6", "6", "6", "6"]))
    assert days(found) == [4]
    assert str(found[0]) == (
        "The unit price of gpt-5-mini, input rose by 20.0%, to $6 a million tokens from $5: $1.00 more on the day."
    )


def test_a_price_that_falls_is_told_with_what_it_saves() -> None:
    (found,) = price_changes(priced(["5", "5", "5", "4"], quantity=50_000_000))
    assert found.impact == -50
    assert "fell by 20.0%" in str(found)
    assert "$50.00 less" in str(found)


def test_a_price_that_wanders_says_nothing() -> None:
    assert price_changes(priced(["5", "5.3", "4.8", "5.2", "4.9", "5.4", "6"])) == []


def test_the_first_days_of_a_line_item_are_no_change() -> None:
    assert price_changes(priced(["5", "6"])) == []


def test_other_line_items_and_the_order_of_days_change_nothing() -> None:
    one, other = priced(["5", "5", "5", "6"]), priced(["9", "9", "9", "9"], label="o3, output")
    assert price_changes([*other, *one][::-1]) == price_changes(one)
