"""Splits an amount by weights into shares that add up exactly to the amount."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from openai_costs_dagster.spend.money import EXACT

MIN_DECIMALS = 12
"""The number of decimals to which shares are rounded, unless the amount itself has more decimals."""


def scale_of(amounts: Sequence[Decimal]) -> int:
    """Return the number of decimals to which shares of the given amounts are rounded."""
    exponents = [amount.as_tuple().exponent for amount in amounts]
    return max([MIN_DECIMALS, *(-exponent for exponent in exponents if isinstance(exponent, int))])


def split_amount(amount: Decimal, weights: Sequence[int]) -> list[Decimal]:
    """Return shares of the amount in proportion to integer weights.

    All shares are rounded down. The remaining units go to the shares that lost most, and to the first of equal shares.
    Raises `ValueError` if a weight is negative or no weight is above zero.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("weights must not be negative, and at least one weight must be above zero")
    scale = scale_of([amount])
    units = to_units(amount, scale)
    floors, remainders = zip(*(divmod(abs(units) * weight, total) for weight in weights), strict=True)
    shares = list(floors)
    for place in sorted(range(len(weights)), key=lambda index: -remainders[index])[: abs(units) - sum(floors)]:
        shares[place] += 1
    return [from_units(-share if units < 0 else share, scale) for share in shares]


def to_units(amount: Decimal, scale: int) -> int:
    """Return the amount as an integer number of units, of which one is 10 to the power of minus `scale`."""
    return int(EXACT.scaleb(amount, scale))


def from_units(units: int, scale: int) -> Decimal:
    """Return the amount of a number of units, without trailing zeros, as the inverse of `to_units`."""
    return EXACT.normalize(EXACT.scaleb(Decimal(units), -scale)) if units else Decimal(0)
