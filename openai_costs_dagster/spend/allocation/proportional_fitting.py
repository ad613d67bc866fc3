"""Proportional fitting: a table of shares whose rows and columns add up exactly to given sums.

Allocation uses it where OpenAI reports costs by project and, separately, costs by user: rows are cost rows, columns are
users. Iterative proportional fitting finds the shares, and integer rounding makes both sums exact.
Source: Deming and Stephan (1940), "On a least squares adjustment of a sampled frequency table".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from openai_costs_dagster.spend.allocation.rounding import from_units, scale_of, split_amount, to_units

_MAX_ITERATIONS = 200
_TOLERANCE = 1e-12  # share of the total: the iteration stops when every column is this close
_NO_EVIDENCE_WEIGHT = 1e-9  # share of the total: the weight of cells without evidence in a fit that needs them
_MIN_SHARE_WITHOUT_EVIDENCE = 1e-6  # share of a row: cells without evidence below this share are dropped
_FIXED_POINT = 2**62  # shares from 0 to 1 as integers, so that large amounts are multiplied exactly

Table = list[list[int]]


def fit_to_margins(
    rows: Sequence[Decimal], columns: Sequence[Decimal], prior: NDArray[np.float64]
) -> list[list[Decimal]]:
    """Return shares whose rows and columns add up exactly to the given sums, as close to `prior` as the sums allow.

    `prior[row, column]` is the estimated share of a row that belongs to a column. A row of zeros has no estimate.
    Raises ValueError if the totals of rows and columns differ.
    """
    scale = scale_of([*rows, *columns])
    row_sums, column_sums = [to_units(row, scale) for row in rows], [to_units(column, scale) for column in columns]
    if sum(row_sums) != sum(column_sums):
        raise ValueError("the totals of rows and columns differ")
    if min(row_sums) < 0 or min(column_sums) < 0:
        # a table that holds only credits is fitted like a table of charges, with the sign reversed
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

    `grains` holds the smallest unit of each row, which is a unit of the row's last decimal.
    """
    total = sum(row_sums)
    if not total:
        return [[0] * len(column_sums) for _ in row_sums]
    rows, columns = (np.array([unit / total for unit in sums]) for sums in (row_sums, column_sums))
    evidence = rows[:, None] * prior
    shares, converged = _iterate(rows, columns, evidence)
    if not converged:
        # The cells with evidence cannot meet the sums of rows and columns, so every cell gets a small weight.
        shares, _ = _iterate(rows, columns, evidence + _NO_EVIDENCE_WEIGHT * np.outer(rows, columns))
        shares = np.where((prior > 0) | (shares > _MIN_SHARE_WITHOUT_EVIDENCE * rows[:, None]), shares, 0)
    # Integer arithmetic: a float cannot hold all digits of a large total.
    targets = [[total * int(share * _FIXED_POINT) // _FIXED_POINT for share in row] for row in shares]
    has_share = [[bool(share > 0) for share in row] for row in shares]
    return _IntegerTable(row_sums, column_sums, grains).fill(targets, has_share)


def _iterate(
    rows: NDArray[np.float64], columns: NDArray[np.float64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], bool]:
    """Scale columns and rows in turns until both sums are met. Return the shares and whether the sums are met."""
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
    """A table of integer units that is filled until all row sums and column sums are met."""

    def __init__(self, row_sums: list[int], column_sums: list[int], grains: list[int]) -> None:
        self._row_rest, self._column_rest, self._grains = list(row_sums), list(column_sums), grains
        self._units = [[0] * len(column_sums) for _ in row_sums]

    def fill(self, targets: Table, has_share: list[list[bool]]) -> Table:
        """Round to whole units: first the fitted shares, then the remainder, preferring cells with a share.

        Rows keep their own decimals (`grains`) as long as both sums allow it.
        """
        everywhere = [[True] * len(row) for row in has_share]
        coarsest_first = sorted(range(len(self._row_rest)), key=lambda row: -self._grains[row])
        for row in coarsest_first:
            for column, units in enumerate(targets[row]):
                self._assign(row, column, units, self._grains[row])
        # If units remain, rows may use more decimals than their own, and then also cells without a share.
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
        """Move units of a row's remainder along an augmenting path to a column whose sum is not met.

        A breadth-first search as in the Edmonds-Karp algorithm: other rows on the path move units between columns.
        Return False if there is no path.
        """
        # For each column that was reached: the row that would add to the column, and the column that the row leaves.
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
        """Move as many units as the path to `column` allows. Return False if no unit fits the grains of its rows."""
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
    """Split each row by the prior, and correct the column sums in the largest row.

    Charges and credits in one table have no unique fit. The corrections add up to zero, so the row sums hold.
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
