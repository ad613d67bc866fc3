"""Shares whose rows and columns add up to given sums at once, to the last digit."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from openai_costs_dagster.spend.allocation.rounding import from_units, scale_of, split_amount, to_units

_ROUNDS = 200
_NEAR_ENOUGH = 1e-12
_FAINT = 1e-9  # the weight of what nothing speaks for, where what does cannot meet the sums
_GHOST = 1e-6  # of a row: below it a share that nothing speaks for is none
_WHOLE = 2**62

Table = list[list[int]]


def fit_to_margins(
    rows: Sequence[Decimal], columns: Sequence[Decimal], prior: NDArray[np.float64]
) -> list[list[Decimal]]:
    """Shares whose rows and columns add up to given sums, as near to `prior` as those allow.

    Iterative proportional fitting, then whole units so that both sums hold to the last digit. `prior[row, column]` is
    the share of a row that is thought to be the column's; a row of zeros says that nothing is known. Raises
    ValueError where the sums of rows and columns differ.
    """
    scale = scale_of([*rows, *columns])
    due, owed = [to_units(row, scale) for row in rows], [to_units(column, scale) for column in columns]
    if sum(due) != sum(owed):
        raise ValueError("rows and columns do not add up to the same")
    if min(due) < 0 or min(owed) < 0:
        if max(due) <= 0 and max(owed) <= 0:
            opposite = fit_to_margins(
                [row.copy_negate() for row in rows], [column.copy_negate() for column in columns], prior
            )
            return [[share.copy_negate() if share else share for share in row] for row in opposite]
        units = _with_mixed_signs(due, owed, prior)
    else:
        grains = [10 ** (scale - scale_of([row])) for row in rows]
        units = _fitted(due, owed, prior, grains)
    return [[from_units(unit, scale) for unit in row] for row in units]


def _fitted(due: list[int], owed: list[int], prior: NDArray[np.float64], grains: list[int]) -> Table:
    total = sum(due)
    if not total:
        return [[0] * len(owed) for _ in due]
    rows, columns = (np.array([unit / total for unit in sums]) for sums in (due, owed))
    known = rows[:, None] * prior
    fit, met = _proportional(rows, columns, known)
    if not met:
        fit, _ = _proportional(rows, columns, known + _FAINT * np.outer(rows, columns))
        fit = np.where((prior > 0) | (fit > _GHOST * rows[:, None]), fit, 0)
    wanted = [[total * int(share * _WHOLE) // _WHOLE for share in row] for row in fit]
    likely = [[bool(share > 0) for share in row] for row in fit]
    return _Whole(due, owed, grains).filled(wanted, likely)


def _proportional(
    rows: NDArray[np.float64], columns: NDArray[np.float64], fit: NDArray[np.float64]
) -> tuple[NDArray[np.float64], bool]:
    """Iterative proportional fitting, and whether both sums could be met."""
    for _ in range(_ROUNDS):
        fit = fit * _ratio(columns, fit.sum(0))
        fit = fit * _ratio(rows, fit.sum(1))[:, None]
        if np.abs(fit.sum(0) - columns).max() < _NEAR_ENOUGH:
            break
    off = max(np.abs(fit.sum(0) - columns).max(), np.abs(fit.sum(1) - rows).max())
    return fit, bool(off < _FAINT)


def _ratio(wanted: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)


class _Whole:
    """Whole units: rows by their grains, and the rest where both a row and a column lack it."""

    def __init__(self, due: list[int], owed: list[int], grains: list[int]) -> None:
        self._left, self._lacking, self._grains = list(due), list(owed), grains
        self._units = [[0] * len(owed) for _ in due]

    def filled(self, wanted: Table, likely: list[list[bool]]) -> Table:
        """As wanted as far as both sums allow; then the rest, by grain and where it is likely as long as that goes."""
        everywhere = [[True] * len(row) for row in likely]
        coarsest_first = sorted(range(len(self._left)), key=lambda row: -self._grains[row])
        for row in coarsest_first:
            for column, units in enumerate(wanted[row]):
                self._give(row, column, units, self._grains[row])
        for allowed, grains in (
            (likely, self._grains),
            (likely, [1] * len(likely)),
            (everywhere, [1] * len(likely)),
        ):
            for row in coarsest_first:
                while self._left[row] and self._reroute(row, allowed, grains):
                    pass
        return self._units

    def _give(self, row: int, column: int, most: int, grain: int) -> None:
        share = min(self._left[row], self._lacking[column], most) // grain * grain
        self._units[row][column] += share
        self._left[row] -= share
        self._lacking[column] -= share

    def _reroute(self, row: int, allowed: list[list[bool]], grains: list[int]) -> bool:
        """Brings some of what a row has left to a column that lacks it, other rows making room on the way."""
        came_from: dict[int, tuple[int, int]] = {}  # column: the row that would give to it, and the column before
        reached, seen_rows = deque([(row, -1)]), {row}
        while reached:
            giver, before = reached.popleft()
            for column, open_ in enumerate(allowed[giver]):
                if not open_ or column in came_from:
                    continue
                came_from[column] = (giver, before)
                if self._lacking[column] and self._move(column, came_from, grains):
                    return True
                for other, units in enumerate(self._units):
                    if units[column] and other not in seen_rows:
                        seen_rows.add(other)
                        reached.append((other, column))
        return False

    def _move(self, column: int, came_from: dict[int, tuple[int, int]], grains: list[int]) -> bool:
        path, last = [], column
        amount = self._lacking[column]
        while column >= 0:
            giver, before = came_from[column]
            path.append((giver, column, before))
            amount = min(amount, self._left[giver] if before < 0 else self._units[giver][before])
            column = before
        grain = max(grains[giver] for giver, _, _ in path)
        amount = amount // grain * grain
        if not amount:
            return False
        for giver, onto, off in path:
            self._units[giver][onto] += amount
            if off >= 0:
                self._units[giver][off] -= amount
        self._left[path[-1][0]] -= amount
        self._lacking[last] -= amount
        return True


def _with_mixed_signs(due: list[int], owed: list[int], prior: NDArray[np.float64]) -> Table:
    """Rows cut by the prior; what the columns then lack is put into the largest row, where it adds up to nothing."""
    weights = np.where(prior.sum(1, keepdims=True) > 0, prior, 1.0)
    units = []
    for row, amount in enumerate(due):
        whole = [int(weight) for weight in weights[row] / weights[row].max() * 10**9]
        parts = split_amount(Decimal(amount), whole)
        shares = [int(part) for part in parts]
        shares[-1] += amount - sum(shares)
        units.append(shares)
    largest = max(range(len(due)), key=lambda row: abs(due[row]))
    for column, wanted in enumerate(owed):
        units[largest][column] += wanted - sum(row[column] for row in units)
    return units
