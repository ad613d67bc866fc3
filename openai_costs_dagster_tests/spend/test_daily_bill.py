"""Tests of the bill of a day: rows with equal dimensions are added up exactly, and no amount is lost."""

from __future__ import annotations

import random
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.cost_records import CostRow, ReportedCost
from openai_costs_dagster.spend.daily_bill import Bill, bill_of

from .strategies import ZERO_OF_THE_API, costs

_ROW = ReportedCost("p", None, None, "gpt-4o, input", "usd", "tokens", Decimal("1.5"), Decimal(10), from_number=False)
_Key = tuple[str | None, ...]


def _key(row: ReportedCost | CostRow) -> _Key:
    return (row.project_id, row.user_id, row.api_key_id, row.line_item, row.currency, row.quantity_unit)


def _known(values: Iterable[Decimal | None]) -> Fraction | None:
    some = [Fraction(value) for value in values if value is not None]
    return sum(some, Fraction(0)) if some else None


def _fraction(value: Decimal | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def _as_sets(rows: list[CostRow], bill: Bill) -> tuple[object, ...]:
    """Return the rows and the totals of a bill in a form that does not depend on the order of the rows."""
    return (
        {_key(row): (str(row.amount), str(row.quantity)) for row in rows},
        (bill.row_count, bill.received, bill.absent_amounts),
        {currency: str(total) for currency, total in bill.totals.items()},
        dict(bill.slack),
    )


@given(st.lists(costs, max_size=30))
def test_rows_with_equal_keys_become_one_row_with_exact_sums(read: list[ReportedCost]) -> None:
    rows, bill = bill_of(read)
    by_key: dict[_Key, list[ReportedCost]] = {}
    for cost in read:
        by_key.setdefault(_key(cost), []).append(cost)
    assert len(rows) == len(by_key) == bill.row_count
    for row in rows:
        same = by_key.pop(_key(row))
        assert _fraction(row.amount) == _known(cost.amount for cost in same)
        assert _fraction(row.quantity) == _known(cost.quantity for cost in same)
    assert not by_key


@given(st.lists(costs, max_size=30))
def test_totals_equal_the_received_amounts_by_currency(read: list[ReportedCost]) -> None:
    rows, bill = bill_of(read)
    billed = {cost.currency for cost in read if cost.amount is not None}
    assert bill.totals.keys() == billed
    for currency in billed:
        received = _known(cost.amount for cost in read if cost.currency == currency)
        stored = _known(row.amount for row in rows if row.currency == currency)
        assert Fraction(bill.totals[currency]) == received == stored
    assert bill.received == len(read)
    assert bill.absent_amounts == sum(cost.amount is None for cost in read)


@given(st.lists(costs, max_size=20), st.integers())
def test_bill_is_independent_of_row_order(read: list[ReportedCost], seed: int) -> None:
    shuffled = random.Random(seed).sample(read, len(read))  # noqa: S311 - repeatable, not secret
    assert _as_sets(*bill_of(read)) == _as_sets(*bill_of(shuffled))


@given(st.lists(costs, max_size=15), st.lists(costs, max_size=15))
def test_totals_of_two_halves_add_up_to_the_day(some: list[ReportedCost], others: list[ReportedCost]) -> None:
    _, whole = bill_of([*some, *others])
    (_, left), (_, right) = bill_of(some), bill_of(others)
    for currency, total in whole.totals.items():
        parts = [bill.totals[currency] for bill in (left, right) if currency in bill.totals]
        assert Fraction(total) == sum(map(Fraction, parts))


def test_rows_with_equal_dimensions_are_added_up() -> None:
    rows, bill = bill_of([_ROW, _ROW._replace(amount=Decimal("0.25"), quantity=Decimal(1))])
    assert [(row.amount, row.quantity) for row in rows] == [(Decimal("1.75"), Decimal(11))]
    assert (bill.received, bill.row_count, bill.totals) == (2, 1, {"usd": Decimal("1.75")})


@pytest.mark.parametrize(
    "other",
    [
        _ROW._replace(currency="eur"),
        _ROW._replace(currency=None),
        _ROW._replace(quantity_unit="images"),
        _ROW._replace(quantity_unit=None),
        _ROW._replace(user_id=""),
        _ROW._replace(api_key_id=""),
        _ROW._replace(project_id=None),
        _ROW._replace(line_item=None),
        _ROW._replace(line_item="gpt-4o, input "),
    ],
)
def test_rows_that_differ_in_any_dimension_are_not_merged(other: ReportedCost) -> None:
    rows, bill = bill_of([_ROW, other])
    assert [_key(row) for row in rows] == [_key(_ROW), _key(other)]
    assert [row.amount for row in rows] == [Decimal("1.5")] * 2
    assert bill.totals.get("usd") == Decimal("1.5" if other.currency != "usd" else "3.0")


def test_rows_with_null_dimensions_are_merged() -> None:
    nothing = ReportedCost(None, None, None, None, None, None, Decimal(1), None, from_number=False)
    rows, bill = bill_of([nothing, nothing])
    assert [row.amount for row in rows] == [2]
    assert bill.totals == {None: 2}


def test_absent_amount_stays_null_and_is_counted() -> None:
    absent = _ROW._replace(amount=None, line_item="gpt-4o, output")
    rows, bill = bill_of([_ROW, absent, absent])
    assert [row.amount for row in rows] == [Decimal("1.5"), None]
    assert (bill.absent_amounts, bill.totals) == (2, {"usd": Decimal("1.5")})


def test_absent_amount_adds_nothing_to_a_known_amount() -> None:
    rows, bill = bill_of([_ROW._replace(amount=None), _ROW])
    assert [row.amount for row in rows] == [Decimal("1.5")]
    assert bill.absent_amounts == 1


def test_unknown_quantity_adds_nothing_to_a_known_quantity() -> None:
    rows, _ = bill_of([_ROW._replace(quantity=None), _ROW, _ROW._replace(quantity=None)])
    assert [row.quantity for row in rows] == [10]


def test_zero_with_exponent_becomes_plain_zero() -> None:
    rows, bill = bill_of([_ROW._replace(amount=ZERO_OF_THE_API)] * 2)
    assert str(rows[0].amount) == str(bill.totals["usd"]) == "0"


def test_day_without_rows_has_an_empty_bill() -> None:
    rows, bill = bill_of([])
    assert (rows, bill) == ([], Bill(row_count=0, received=0, absent_amounts=0, totals={}, slack={}))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1E9999", "1." + "1" * 20_000])
def test_invalid_amount_or_quantity_is_rejected(value: str) -> None:
    with pytest.raises(ValueError, match=r"not a valid amount|outside the range"):
        bill_of([_ROW, _ROW._replace(amount=Decimal(value))])
    with pytest.raises(ValueError, match=r"not a valid amount|outside the range"):
        bill_of([_ROW, _ROW._replace(quantity=Decimal(value))])


@given(st.lists(costs, max_size=20))
def test_only_json_numbers_have_slack(read: list[ReportedCost]) -> None:
    _, bill = bill_of(read)
    for currency in bill.totals:
        numbers = [cost.amount for cost in read if cost.currency == currency and cost.from_number and cost.amount]
        assert (bill.slack.get(currency, Decimal(0)) > 0) == bool(numbers)
