"""Computes a table of shares whose rows and columns add up exactly to given sums.

The allocation uses it if OpenAI reports the costs by project and, in another response, the costs by user. In the
allocation, each row of the table is a cost row, and each column is a user. Iterative proportional fitting finds the
shares, and integer rounding makes the sums of rows and of columns exact. Source: Deming and Stephan (1940), "On a least
squares adjustment of a sampled frequency table".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from openai_costs_dagster.spend.allocation.rounding import from_units, scale_of, split_amount, to_units

_MAX_ITERATIONS = 200
# The difference between the sum of a column and its given sum at which the iteration stops, as a share of the total.
_TOLERANCE = 1e-12
# If the cells with an estimate cannot add up to the given row and column sums, each cell without an estimate gets this
# share of the total as its weight.
_NO_EVIDENCE_WEIGHT = 1e-9
# The smallest share of a row that a cell without an estimate may have. Smaller cells are dropped, because they would
# only store tiny amounts.
_MIN_SHARE_WITHOUT_EVIDENCE = 1e-6
# Shares from 0 to 1 are multiplied as integers of this scale, so that no digit of a large amount is lost.
_FIXED_POINT = 2**62

Table = list[list[int]]


def fit_to_margins(
    rows: Sequence[Decimal], columns: Sequence[Decimal], prior: NDArray[np.float64]
) -> list[list[Decimal]]:
    """Return shares that add up exactly to the given sums of rows and columns, as close to `prior` as the sums allow.

    `prior[row, column]` is the estimated share of the row that belongs to the column. A row of zeros has no estimate.
    Raises `ValueError` if the rows and the columns have different totals.
    """
    scale = scale_of([*rows, *columns])
    row_sums, column_sums = [to_units(row, scale) for row in rows], [to_units(column, scale) for column in columns]
    if sum(row_sums) != sum(column_sums):
        raise ValueError("the totals of rows and columns differ")
    if min(row_sums) < 0 or min(column_sums) < 0:
        # A table that contains only credits is fitted with the opposite sign, like a table of charges.
        if max(row_sums) <= 0 and max(column_sums) <= 0:
            opposite = fit_to_margins(
                [row.copy_negate() for row in rows], [column.copy_negate() for column in columns], prior
            )
            return [[share.copy_negate() if share else share for share in row] for row in opposite]
        units = _fit_mixed_signs(row_sums, column_sums, prior)
    else:
        grains = [10 ** (scale - scale_of([row])) for row in rows]
        units = _fit(row_sums, column_sums, prior, grains)
    return [[from_units(unit, scale) for unit in row] for row in units]


def _fit(row_sums: list[int], column_sums: list[int], prior: NDArray[np.float64], grains: list[int]) -> Table:
    """Fit a table whose sums are not negative.

    `grains` contains the unit of the last decimal of each row, so that shares have no more decimals than their row.
    """
    total = sum(row_sums)
    if not total:
        return [[0] * len(column_sums) for _ in row_sums]
    rows, columns = (np.array([unit / total for unit in sums]) for sums in (row_sums, column_sums))
    evidence = rows[:, None] * prior
    shares, converged = _iterate(rows, columns, evidence)
    if not converged:
        # The cells with an estimate cannot meet the sums of rows and columns, so every cell receives a small weight.
        shares, _ = _iterate(rows, columns, evidence + _NO_EVIDENCE_WEIGHT * np.outer(rows, columns))
        shares = np.where((prior > 0) | (shares > _MIN_SHARE_WITHOUT_EVIDENCE * rows[:, None]), shares, 0)
    # A float cannot hold all digits of a large total, so the shares are multiplied as integers.
    targets = [[total * int(share * _FIXED_POINT) // _FIXED_POINT for share in row] for row in shares]
    has_share = [[bool(share > 0) for share in row] for row in shares]
    return _IntegerTable(row_sums, column_sums, grains).fill(targets, has_share)


def _iterate(
    rows: NDArray[np.float64], columns: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], bool]:
    """Scale the columns and the rows in turns until they match the given sums.

    Return the shares, and whether all rows and columns match their sums.
    """
    for _ in range(_MAX_ITERATIONS):
        shares = shares * _ratio(columns, shares.sum(0))
        shares = shares * _ratio(rows, shares.sum(1))[:, None]
        if np.abs(shares.sum(0) - columns).max() < _TOLERANCE:
            break
    error = max(np.abs(shares.sum(0) - columns).max(), np.abs(shares.sum(1) - rows).max())
    return shares, bool(error < _NO_EVIDENCE_WEIGHT)


def _ratio(wanted: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)


class _IntegerTable:
    """A table of integers that is filled until all sums of rows and columns are met."""

    def __init__(self, row_sums: list[int], column_sums: list[int], grains: list[int]) -> None:
        self._row_rest, self._column_rest, self._grains = list(row_sums), list(column_sums), grains
        self._units = [[0] * len(column_sums) for _ in row_sums]

    def fill(self, targets: Table, has_share: list[list[bool]]) -> Table:
        """Round the fitted shares to whole units, and distribute the remainder, preferably to cells with a share.

        Shares in a row have no more decimals than the row itself (`grains`), as long as the sums of the columns allow
        that.
        """
        everywhere = [[True] * len(row) for row in has_share]
        coarsest_first = sorted(range(len(self._row_rest)), key=lambda row: -self._grains[row])
        for row in coarsest_first:
            for column, units in enumerate(targets[row]):
                self._assign(row, column, units, self._grains[row])
        # Each pass is less strict: first with the decimals of each row, then with more decimals, and finally also in
        # cells without a share.
        for allowed, grains in (
            (has_share, self._grains),
            (has_share, [1] * len(has_share)),
            (everywhere, [1] * len(has_share)),
        ):
            for row in coarsest_first:
                while self._row_rest[row] and self._augment(row, allowed, grains):
                    pass
        return self._units

    def _assign(self, row: int, column: int, limit: int, grain: int) -> None:
        share = min(self._row_rest[row], self._column_rest[column], limit) // grain * grain
        self._units[row][column] += share
        self._row_rest[row] -= share
        self._column_rest[column] -= share

    def _augment(self, row: int, allowed: list[list[bool]], grains: list[int]) -> bool:
        """Move part of a row's remainder to a column whose sum is not met, and return whether that was possible.

        As in the Edmonds-Karp algorithm, a breadth-first search finds an augmenting path: other rows on the path move
        units from one column to another.
        """
        # The key is a column that was reached. The value is the row that would add units to this column, and the column
        # from which the row would take them.
        came_from: dict[int, tuple[int, int]] = {}
        queue, visited_rows = deque([(row, -1)]), {row}
        while queue:
            giver, left_column = queue.popleft()
            for column, is_allowed in enumerate(allowed[giver]):
                if not is_allowed or column in came_from:
                    continue
                came_from[column] = (giver, left_column)
                if self._column_rest[column] and self._apply_path(column, came_from, grains):
                    return True
                for other, units in enumerate(self._units):
                    if units[column] and other not in visited_rows:
                        visited_rows.add(other)
                        queue.append((other, column))
        return False

    def _apply_path(self, column: int, came_from: dict[int, tuple[int, int]], grains: list[int]) -> bool:
        """Move as many units as the path to `column` allows.

        Return False if not even one unit fits the decimals of its rows.
        """
        path, last = [], column
        amount = self._column_rest[column]
        while column >= 0:
            giver, left_column = came_from[column]
            path.append((giver, column, left_column))
            amount = min(amount, self._row_rest[giver] if left_column < 0 else self._units[giver][left_column])
            column = left_column
        grain = max(grains[giver] for giver, _, _ in path)
        amount = amount // grain * grain
        if not amount:
            return False
        for giver, onto, off in path:
            self._units[giver][onto] += amount
            if off >= 0:
                self._units[giver][off] -= amount
        self._row_rest[path[-1][0]] -= amount
        self._column_rest[last] -= amount
        return True


def _fit_mixed_signs(row_sums: list[int], column_sums: list[int], prior: NDArray[np.float64]) -> Table:
    """Fit a table with charges and credits: split each row by `prior`, and correct the sums of the columns in one row.

    A table with charges and credits has no unique fit. The largest row receives the corrections of all columns. The sum
    of this row stays correct, because the corrections add up to zero.
    """
    weights = np.where(prior.sum(1, keepdims=True) > 0, prior, 1.0)
    units = []
    for row, amount in enumerate(row_sums):
        integer_weights = [int(weight) for weight in weights[row] / weights[row].max() * 10**9]
        shares = [int(share) for share in split_amount(Decimal(amount), integer_weights)]
        shares[-1] += amount - sum(shares)
        units.append(shares)
    largest = max(range(len(row_sums)), key=lambda row: abs(row_sums[row]))
    for column, wanted in enumerate(column_sums):
        units[largest][column] += wanted - sum(row[column] for row in units)
    return units
