"""An amount that is cut adds up to itself, to the last digit, whatever it is cut by."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.spend.allocation.proportional_fitting import fit_to_margins
from openai_costs_dagster.spend.allocation.rounding import COARSEST, scale_of, split_amount
from openai_costs_dagster.spend.money import EXACT, add

from ..strategies import amounts

_ZERO = Decimal(0)
weights = st.lists(st.integers(0, 10**15), min_size=1, max_size=8).filter(any)


def total(parts: list[Decimal]) -> Decimal:
    result = _ZERO
    for part in parts:
        result = add(result, part)
    return result


def decimals(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


@given(amounts, weights)
def test_shares_add_up_to_the_amount(amount: Decimal, by: list[int]) -> None:
    assert total(split_amount(amount, by)) == amount


@given(amounts, weights)
def test_no_share_is_finer_than_the_amount_or_twelve_decimals(amount: Decimal, by: list[int]) -> None:
    assert all(decimals(share) <= max(decimals(amount), COARSEST) for share in split_amount(amount, by))


@given(amounts, weights)
def test_a_share_is_what_its_weight_is_worth_but_for_less_than_a_unit(amount: Decimal, by: list[int]) -> None:
    unit = EXACT.scaleb(Decimal(1), -scale_of([amount]))
    for share, weight in zip(split_amount(amount, by), by, strict=True):
        assert abs(EXACT.multiply(share, Decimal(sum(by))) - EXACT.multiply(amount, Decimal(weight))) < sum(by) * unit
        assert weight or not share


@given(amounts, weights)
def test_credits_are_cut_like_charges(amount: Decimal, by: list[int]) -> None:
    assert split_amount(amount.copy_negate(), by) == [share.copy_negate() for share in split_amount(amount, by)]


def test_the_rest_goes_to_the_largest_remainder_and_ties_to_the_first() -> None:
    assert split_amount(Decimal("0.000000000002"), [1, 1, 1]) == [Decimal("1E-12"), Decimal("1E-12"), _ZERO]
    assert split_amount(Decimal(1), [1, 2]) == [Decimal("0.333333333333"), Decimal("0.666666666667")]


@pytest.mark.parametrize("by", [[0, 0], [1, -1], [-1, 3]])
def test_nothing_is_cut_by_weights_that_mean_nothing(by: list[int]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        split_amount(Decimal(1), by)


@st.composite
def two_ways(draw: st.DrawFn) -> tuple[list[Decimal], list[Decimal], np.ndarray]:
    """A table's rows and columns, from cells that are forgotten, and some idea of it."""
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    sign = draw(st.sampled_from([1, -1, 0]))  # 0: mixed
    cell = amounts if not sign else amounts.map(lambda amount: amount.copy_abs().copy_sign(Decimal(sign)))
    cells = [[draw(cell) for _ in range(width)] for _ in range(height)]
    prior = np.array([[draw(st.integers(0, 9)) for _ in range(width)] for _ in range(height)], float)
    sums = prior.sum(1, keepdims=True)
    prior = np.divide(prior, sums, out=np.zeros_like(prior), where=sums > 0)
    return [total(row) for row in cells], [total(list(column)) for column in zip(*cells, strict=True)], prior


@given(two_ways())
def test_shares_both_ways_add_up_to_rows_and_columns(table: tuple[list[Decimal], list[Decimal], np.ndarray]) -> None:
    rows, columns, prior = table
    cells = fit_to_margins(rows, columns, prior)
    assert [total(row) for row in cells] == rows
    assert [total(list(column)) for column in zip(*cells, strict=True)] == columns


def test_shares_both_ways_follow_what_is_known() -> None:
    known = np.array([[0.75, 0.25], [0.0, 1.0]])
    cells = fit_to_margins([Decimal(40), Decimal(60)], [Decimal(30), Decimal(70)], known)
    assert [[round(cell, 6) for cell in row] for row in cells] == [[30, 10], [0, 60]]


def test_nobody_is_given_a_sliver_of_what_they_had_no_part_in() -> None:
    known = np.array([[1.0, 0.0], [0.5, 0.5]])
    cells = fit_to_margins([Decimal("0.1"), Decimal("0.2")], [Decimal("0.2"), Decimal("0.1")], known)
    assert cells == [[Decimal("0.1"), 0], [Decimal("0.1"), Decimal("0.1")]]


def test_rows_are_cut_by_their_own_decimals_where_the_columns_allow() -> None:
    fine = Decimal("1.0000000000000001")
    cells = fit_to_margins([Decimal(1), fine], [Decimal(1), fine], np.array([[0.4, 0.6], [0.6, 0.4]]))
    assert all(decimals(cell) <= COARSEST for cell in cells[0])


def test_sums_that_differ_cannot_both_be_met() -> None:
    with pytest.raises(ValueError, match="do not add up to the same"):
        fit_to_margins([Decimal(1)], [Decimal(2)], np.ones((1, 1)))
