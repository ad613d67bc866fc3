"""Arithmetic on amounts is exact, or it raises: nothing is rounded in silence."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.spend import money

from .strategies import LARGEST, SMALLEST, ZERO_OF_THE_API, amounts, any_amounts


@given(any_amounts)
def test_normalising_changes_how_a_number_is_written_and_not_what_it_is(value: Decimal) -> None:
    normalised = money.normalised(value)
    assert Fraction(normalised) == Fraction(value)
    assert money.normalised(normalised).as_tuple() == normalised.as_tuple()
    digits = normalised.as_tuple().digits
    assert digits == (0,) or digits[-1] != 0


@pytest.mark.parametrize("zero", [ZERO_OF_THE_API, Decimal("-0"), Decimal("0.00"), Decimal("0E6144")])
def test_every_zero_becomes_the_plain_one(zero: Decimal) -> None:
    assert str(money.normalised(zero)) == "0"


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity", "1E7000", "1E-7000", "-1E7000"])
def test_what_is_no_amount_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"no amount|beyond"):
        money.normalised(Decimal(value))


@pytest.mark.parametrize("value", ["1." + "1" * 20_000, "1" * 6_000 + "." + "1" * 12_000])
def test_more_digits_than_can_be_added_exactly_are_refused_as_no_amount(value: str) -> None:
    with pytest.raises(ValueError, match=r"no amount|beyond"):
        money.normalised(Decimal(value))


@given(any_amounts, any_amounts)
def test_any_two_amounts_are_added_and_subtracted_exactly(left: Decimal, right: Decimal) -> None:
    left, right = money.normalised(left), money.normalised(right)
    assert Fraction(money.add(left, right)) == Fraction(left) + Fraction(right)
    assert Fraction(money.subtract(left, right)) == Fraction(left) - Fraction(right)


def test_the_largest_and_the_smallest_amount_can_be_added() -> None:
    total = money.add(LARGEST, SMALLEST)
    assert money.subtract(total, LARGEST) == SMALLEST


@given(st.lists(amounts, max_size=20), st.randoms(use_true_random=False))
def test_a_sum_is_the_same_in_every_order(values: list[Decimal], dice: object) -> None:
    def total(some: list[Decimal]) -> Decimal:
        result = Decimal(0)
        for one in some:
            result = money.add(result, money.normalised(one))
        return result

    shuffled = sorted(values, key=lambda _: dice.random())  # type: ignore[attr-defined]
    assert total(values).as_tuple() == total(shuffled).as_tuple()


@pytest.mark.parametrize(
    ("left", "right", "expected"), [(None, None, None), (None, 1, 1), (1, None, 1), (1, 2, 3), (0, None, 0)]
)
def test_an_unknown_and_something_is_something(left: int | None, right: int | None, expected: int | None) -> None:
    def known(value: int | None) -> Decimal | None:
        return None if value is None else Decimal(value)

    assert money.add_known(known(left), known(right)) == known(expected)


_doubles = st.floats(min_value=1e-12, max_value=1e9, allow_nan=False)


@given(_doubles.map(Decimal), st.sampled_from(["r", ".17g", ".16g", ".15g"]))
def test_an_amount_that_was_printed_as_a_number_is_within_its_slack(exact: Decimal, form: str) -> None:
    # Any exact amount becomes the nearest double, and that is printed shortest, or with a fixed number of digits.
    double = float(exact)
    printed = Decimal(repr(double) if form == "r" else format(double, form))
    if form == ".15g" and len(printed.as_tuple().digits) < 12:
        return  # its zeros were cut: nothing says any more that it was rounded
    assert abs(printed - exact) <= money.slack_of_number(printed)


@given(amounts.filter(lambda one: abs(one) > Decimal("1E-30")))
def test_any_34_digits_that_became_a_number_are_within_its_slack(exact: Decimal) -> None:
    printed = Decimal(repr(float(exact)))
    assert abs(Fraction(printed) - Fraction(exact)) <= Fraction(money.slack_of_number(printed))


@given(_doubles)
def test_slack_is_no_more_than_a_number_can_have_lost(value: float) -> None:
    printed = Decimal(repr(value))
    assert 0 < money.slack_of_number(printed) <= abs(printed) * Decimal("1E-11")


@pytest.mark.parametrize("value", ["1E400", "1E-400", "-1E400"])
def test_slack_is_finite_even_where_no_double_is(value: str) -> None:
    assert money.slack_of_number(Decimal(value)).is_finite()


@pytest.mark.parametrize(
    ("amount", "plain", "signed"),
    [
        ("-0.24", "-$0.24", "-$0.24"),
        ("1234.5", "$1,234.50", "+$1,234.50"),
        ("-0.004", "$0.00", "$0.00"),
        ("0.001", "$0.00", "$0.00"),
        ("0E-6176", "$0.00", "$0.00"),
        ("-1000000", "-$1,000,000.00", "-$1,000,000.00"),
    ],
)
def test_dollars_put_the_sign_before_the_currency(amount: str, plain: str, signed: str) -> None:
    assert (money.dollars(Decimal(amount)), money.signed_dollars(Decimal(amount))) == (plain, signed)
