"""Tests that an amount is split exactly: by weights, and into a table with given sums of rows and columns."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.spend.allocation.proportional_fitting import fit_to_margins
from openai_costs_dagster.spend.allocation.rounding import MIN_DECIMALS, scale_of, split_amount
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
def test_shares_have_at_most_the_decimals_of_the_amount_or_twelve(amount: Decimal, by: list[int]) -> None:
    assert all(decimals(share) <= max(decimals(amount), MIN_DECIMALS) for share in split_amount(amount, by))


@given(amounts, weights)
def test_share_is_proportional_to_its_weight_within_one_unit(amount: Decimal, by: list[int]) -> None:
    unit = EXACT.scaleb(Decimal(1), -scale_of([amount]))
    for share, weight in zip(split_amount(amount, by), by, strict=True):
        assert abs(EXACT.multiply(share, Decimal(sum(by))) - EXACT.multiply(amount, Decimal(weight))) < sum(by) * unit
        assert weight or not share


@given(amounts, weights)
def test_credits_are_split_like_charges(amount: Decimal, by: list[int]) -> None:
    assert split_amount(amount.copy_negate(), by) == [share.copy_negate() for share in split_amount(amount, by)]


def test_last_units_go_to_the_largest_remainders_and_then_to_the_first_shares() -> None:
    assert split_amount(Decimal("0.000000000002"), [1, 1, 1]) == [Decimal("1E-12"), Decimal("1E-12"), _ZERO]
    assert split_amount(Decimal(1), [1, 2]) == [Decimal("0.333333333333"), Decimal("0.666666666667")]


@pytest.mark.parametrize("by", [[0, 0], [1, -1], [-1, 3]])
def test_invalid_weights_are_rejected(by: list[int]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        split_amount(Decimal(1), by)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Decimal], list[Decimal], np.ndarray]:
    """Generate the row sums and the column sums of a random table, and unrelated weights of the cells."""
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    sign = draw(st.sampled_from([1, -1, 0]))  # With 0, the amounts of the table have mixed signs.
    cell = amounts if not sign else amounts.map(lambda amount: amount.copy_abs().copy_sign(Decimal(sign)))
    cells = [[draw(cell) for _ in range(width)] for _ in range(height)]
    prior = np.array([[draw(st.integers(0, 9)) for _ in range(width)] for _ in range(height)], float)
    sums = prior.sum(1, keepdims=True)
    prior = np.divide(prior, sums, out=np.zeros_like(prior), where=sums > 0)
    return [total(row) for row in cells], [total(list(column)) for column in zip(*cells, strict=True)], prior


@given(tables())
def test_fitted_shares_add_up_to_rows_and_columns(table: tuple[list[Decimal], list[Decimal], np.ndarray]) -> None:
    rows, columns, prior = table
    cells = fit_to_margins(rows, columns, prior)
    assert [total(row) for row in cells] == rows
    assert [total(list(column)) for column in zip(*cells, strict=True)] == columns


def test_fitted_shares_follow_the_weights_of_the_cells() -> None:
    known = np.array([[0.75, 0.25], [0.0, 1.0]])
    cells = fit_to_margins([Decimal(40), Decimal(60)], [Decimal(30), Decimal(70)], known)
    assert [[round(cell, 6) for cell in row] for row in cells] == [[30, 10], [0, 60]]


def test_cells_without_weight_get_no_share() -> None:
    known = np.array([[1.0, 0.0], [0.5, 0.5]])
    cells = fit_to_margins([Decimal("0.1"), Decimal("0.2")], [Decimal("0.2"), Decimal("0.1")], known)
    assert cells == [[Decimal("0.1"), 0], [Decimal("0.1"), Decimal("0.1")]]


def test_rows_keep_their_own_decimals_if_columns_allow() -> None:
    fine = Decimal("1.0000000000000001")
    cells = fit_to_margins([Decimal(1), fine], [Decimal(1), fine], np.array([[0.4, 0.6], [0.6, 0.4]]))
    assert all(decimals(cell) <= MIN_DECIMALS for cell in cells[0])


def test_different_row_and_column_totals_are_rejected() -> None:
    with pytest.raises(ValueError, match="differ"):
        fit_to_margins([Decimal(1)], [Decimal(2)], np.ones((1, 1)))
