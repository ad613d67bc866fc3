"""Cuts an amount into shares that add up to it, to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from openai_costs_dagster.spend.money import EXACT

COARSEST = 12
"""Decimals at which an amount is cut, unless it has more of its own."""


def scale_of(amounts: Sequence[Decimal]) -> int:
    """The decimals at which amounts are cut."""
    exponents = [amount.as_tuple().exponent for amount in amounts]
    return max([COARSEST, *(-exponent for exponent in exponents if isinstance(exponent, int))])


def split_amount(amount: Decimal, weights: Sequence[int]) -> list[Decimal]:
    """Shares in proportion to whole weights, not all zero; rest by largest remainder, ties to the first.

    Raises ValueError for negative weights or none above zero.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("an amount is cut by weights of which none is negative and one is above zero")
    scale = scale_of([amount])
    units = to_units(amount, scale)
    floors, rests = zip(*(divmod(abs(units) * weight, total) for weight in weights), strict=True)
    shares = list(floors)
    for place in sorted(range(len(weights)), key=lambda one: -rests[one])[: abs(units) - sum(floors)]:
        shares[place] += 1
    return [from_units(-share if units < 0 else share, scale) for share in shares]


def to_units(amount: Decimal, scale: int) -> int:
    """An amount in units of its last decimal."""
    return int(EXACT.scaleb(amount, scale))


def from_units(units: int, scale: int) -> Decimal:
    """The inverse of `to_units`, without trailing zeros."""
    return EXACT.normalize(EXACT.scaleb(Decimal(units), -scale)) if units else Decimal(0)
