"""Tests that grouped and ungrouped costs of a day must have equal sums, except for the rounding of JSON numbers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.cost_records import ReportedCost
from openai_costs_dagster.spend.daily_bill import Bill, bill_of
from openai_costs_dagster.spend.reconciliation import differences, reconciles

from .strategies import SMALLEST, amounts


def row(amount: Decimal, currency: str | None = "usd", *, from_number: bool = False) -> ReportedCost:
    return ReportedCost(None, None, None, None, currency, None, amount, None, from_number)


def bill(*rows: ReportedCost) -> Bill:
    return bill_of(rows)[1]


def as_number(amount: Decimal) -> ReportedCost:
    """Return a cost row whose amount OpenAI sent as a JSON number, which is rounded to a double."""
    return row(Decimal(repr(float(amount))), from_number=True)


def as_one_row(exact: list[Decimal]) -> Decimal:
    return bill(*map(row, exact)).totals.get("usd", Decimal(0))


@given(st.lists(amounts, max_size=20))
def test_equal_sums_of_strings_reconcile(exact: list[Decimal]) -> None:
    grouped, ungrouped = bill(*map(row, exact)), bill(row(as_one_row(exact)))
    assert reconciles(grouped, ungrouped)
    assert all(difference.amount == 0 for difference in differences(grouped, ungrouped))


@given(st.lists(amounts, min_size=1, max_size=20), st.sampled_from([SMALLEST, Decimal("-1E-34"), Decimal("0.01")]))
def test_sums_of_strings_that_differ_in_the_last_digit_do_not_reconcile(exact: list[Decimal], offset: Decimal) -> None:
    grouped = bill(*map(row, exact))
    (difference,) = differences(grouped, bill(row(as_one_row(exact)), row(offset)))
    assert Fraction(difference.amount) == -Fraction(offset)
    assert difference.allowed == 0
    assert not difference.is_explained


@given(
    st.lists(
        st.tuples(amounts.filter(lambda amount: not amount or abs(amount) > Decimal("1E-30")), st.booleans()),
        max_size=20,
    )
)
def test_rounded_numbers_reconcile_with_the_exact_sum(sent: list[tuple[Decimal, bool]]) -> None:
    exact = [amount for amount, _ in sent]
    grouped = bill(*(as_number(amount) if number else row(amount) for amount, number in sent))
    assert reconciles(grouped, bill(row(as_one_row(exact))))
    assert reconciles(bill(row(as_one_row(exact))), grouped)


@given(st.lists(amounts.filter(lambda amount: Decimal("1E-9") < abs(amount) < Decimal("1E6")), min_size=1, max_size=20))
def test_one_cent_is_never_explained_by_rounding(exact: list[Decimal]) -> None:
    grouped = bill(*map(as_number, exact))
    assert not reconciles(grouped, bill(row(as_one_row(exact)), row(Decimal("0.01"))))


def test_slack_of_both_bills_is_added() -> None:
    number, string = as_number(Decimal("0.1")), row(Decimal("0.1"))
    slack = bill(number).slack["usd"]
    assert differences(bill(number), bill(string))[0].allowed == slack
    assert differences(bill(string), bill(number))[0].allowed == slack
    assert Fraction(differences(bill(number), bill(number))[0].allowed) == 2 * Fraction(slack)


def test_each_currency_is_reconciled_separately() -> None:
    grouped = bill(row(Decimal(5), "usd"), row(Decimal(3), "eur"))
    ungrouped = bill(row(Decimal(3), "usd"), row(Decimal(5), "eur"))
    assert not reconciles(grouped, ungrouped)
    assert {difference.currency: difference.amount for difference in differences(grouped, ungrouped)} == {
        "usd": 2,
        "eur": -2,
    }


@pytest.mark.parametrize("currency", ["usd", None])
def test_currency_of_one_side_counts_as_zero_on_the_other(currency: str | None) -> None:
    (difference,) = differences(bill(row(Decimal(5), currency)), bill())
    assert (difference.currency, difference.amount, difference.is_explained) == (currency, Decimal(5), False)
    (difference,) = differences(bill(), bill(row(Decimal(5), currency)))
    assert (difference.currency, difference.amount, difference.is_explained) == (currency, Decimal(-5), False)
    assert reconciles(bill(row(Decimal(0), currency)), bill())


def test_two_empty_bills_reconcile() -> None:
    assert reconciles(bill(), bill())
    assert differences(bill(), bill()) == []


def test_slack_of_one_currency_does_not_explain_a_difference_in_another() -> None:
    number = row(Decimal("1000000.1"), "eur", from_number=True)
    tiny = Decimal("1E-12")
    assert not reconciles(bill(number, row(tiny)), bill(number))
