"""Tests that arithmetic on amounts is exact or raises an error."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.spend import money

from .strategies import LARGEST, SMALLEST, ZERO_OF_THE_API, amounts, any_amounts


@given(any_amounts)
def test_normalised_keeps_the_value(value: Decimal) -> None:
    normalised = money.normalised(value)
    assert Fraction(normalised) == Fraction(value)
    assert money.normalised(normalised).as_tuple() == normalised.as_tuple()
    digits = normalised.as_tuple().digits
    assert digits == (0,) or digits[-1] != 0


@pytest.mark.parametrize("zero", [ZERO_OF_THE_API, Decimal("-0"), Decimal("0.00"), Decimal("0E6144")])
def test_every_zero_becomes_plain_zero(zero: Decimal) -> None:
    assert str(money.normalised(zero)) == "0"


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity", "1E7000", "1E-7000", "-1E7000"])
def test_invalid_amount_is_rejected(value: str) -> None:
    with pytest.raises(ValueError, match=r"not a valid amount|outside the range"):
        money.normalised(Decimal(value))


@pytest.mark.parametrize("value", ["1." + "1" * 20_000, "1" * 6_000 + "." + "1" * 12_000])
def test_amount_with_too_many_digits_is_rejected(value: str) -> None:
    with pytest.raises(ValueError, match=r"not a valid amount|outside the range"):
        money.normalised(Decimal(value))


@given(any_amounts, any_amounts)
def test_addition_and_subtraction_are_exact(left: Decimal, right: Decimal) -> None:
    left, right = money.normalised(left), money.normalised(right)
    assert Fraction(money.add(left, right)) == Fraction(left) + Fraction(right)
    assert Fraction(money.subtract(left, right)) == Fraction(left) - Fraction(right)


def test_largest_and_smallest_amount_can_be_added() -> None:
    total = money.add(LARGEST, SMALLEST)
    assert money.subtract(total, LARGEST) == SMALLEST


@given(st.lists(amounts, max_size=20), st.randoms(use_true_random=False))
def test_sum_is_independent_of_order(values: list[Decimal], dice: object) -> None:
    def total(some: list[Decimal]) -> Decimal:
        result = Decimal(0)
        for amount in some:
            result = money.add(result, money.normalised(amount))
        return result

    shuffled = sorted(values, key=lambda _: dice.random())  # type: ignore[attr-defined]
    assert total(values).as_tuple() == total(shuffled).as_tuple()


@pytest.mark.parametrize(
    ("left", "right", "expected"), [(None, None, None), (None, 1, 1), (1, None, 1), (1, 2, 3), (0, None, 0)]
)
def test_add_known_treats_null_as_unknown(left: int | None, right: int | None, expected: int | None) -> None:
    def known(value: int | None) -> Decimal | None:
        return None if value is None else Decimal(value)

    assert money.add_known(known(left), known(right)) == known(expected)


_doubles = st.floats(min_value=1e-12, max_value=1e9, allow_nan=False)


@given(_doubles.map(Decimal), st.sampled_from(["r", ".17g", ".16g", ".15g"]))
def test_rounding_of_a_printed_double_is_within_slack(exact: Decimal, form: str) -> None:
    # Servers round an exact amount to the nearest double, and print the shortest form or a fixed number of digits.
    double = float(exact)
    printed = Decimal(repr(double) if form == "r" else format(double, form))
    if form == ".15g" and len(printed.as_tuple().digits) < 12:
        return  # Trailing zeros were cut, so the number no longer shows that it was rounded.
    assert abs(printed - exact) <= money.slack_of_number(printed)


@given(amounts.filter(lambda amount: abs(amount) > Decimal("1E-30")))
def test_rounding_of_34_digits_is_within_slack(exact: Decimal) -> None:
    printed = Decimal(repr(float(exact)))
    assert abs(Fraction(printed) - Fraction(exact)) <= Fraction(money.slack_of_number(printed))


@given(_doubles)
def test_slack_is_small(value: float) -> None:
    printed = Decimal(repr(value))
    assert 0 < money.slack_of_number(printed) <= abs(printed) * Decimal("1E-11")


@pytest.mark.parametrize("value", ["1E400", "1E-400", "-1E400"])
def test_slack_is_finite_outside_the_range_of_doubles(value: str) -> None:
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
def test_dollars_format_sign_before_currency(amount: str, plain: str, signed: str) -> None:
    assert (money.dollars(Decimal(amount)), money.signed_dollars(Decimal(amount))) == (plain, signed)
