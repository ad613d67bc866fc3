"""Exact decimal arithmetic.

OpenAI's amounts carry up to 34 significant digits and zero arrives as ``0E-6176``; Python's default context
rounds at 28 digits. Everything here is exact or raises.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

_DIGITS = 16_000  # enough for the sum of any two decimal128 numbers, whose exponents span 12,288 places
EXACT = Context(prec=_DIGITS, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_normalize = EXACT.normalize
_LARGEST_EXPONENT = 6_200  # of a decimal128, which OpenAI computes with
_ZERO = Decimal(0)
_DIGITS_OF_A_DOUBLE = 12


def normalised(value: Decimal) -> Decimal:
    """The same number without trailing zeros after the point: ``0E-6176`` becomes 0, 2.1900 becomes 2.19.

    Raises ValueError for what is no amount: infinities, NaN, exponents beyond a decimal128's.
    """
    if not value:
        return _ZERO
    if not value.is_finite():
        raise ValueError(f"{value} is no amount")
    if not -_LARGEST_EXPONENT <= value.adjusted() <= _LARGEST_EXPONENT:
        raise ValueError(f"{value} is beyond what any bill or database holds")
    try:
        return _normalize(value)
    except Inexact:
        raise ValueError(f"a number of more than {_DIGITS} digits is no amount") from None


def add(left: Decimal, right: Decimal) -> Decimal:
    """The exact sum of two normalised numbers."""
    return EXACT.add(left, right)


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """The exact difference of two normalised numbers."""
    return EXACT.subtract(left, right)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The exact sum of any number of them."""
    result = _ZERO
    for amount in amounts:
        if amount:  # a zero may carry thousands of digits behind its point
            result = EXACT.add(result, amount)
    return result


def add_known(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    """The sum where null is unknown: null + x = x, null + null = null."""
    if left is None or right is None:
        return right if left is None else left
    return EXACT.add(left, right)


def slack_of_number(value: Decimal) -> Decimal:
    """How far an amount that came as a JSON number may be from the exact one, in its own currency.

    Such an amount went through a double: half a unit in its last place was lost when the exact amount became
    one, and at most as much again when it was printed. A number with many digits may also have been cut there.
    """
    _, digits, exponent = value.as_tuple()
    half_a_digit = EXACT.scaleb(Decimal("0.5"), int(exponent))
    unit = Decimal(math.ulp(value))
    if not unit.is_finite():  # beyond a double's range: it came through none, and its last digit is all there is
        return half_a_digit
    return max(unit, half_a_digit) if len(digits) >= _DIGITS_OF_A_DOUBLE else unit


def dollars(amount: Decimal) -> str:
    """US dollars for people, to the cent: ``$1,234.50``, and ``-$0.24`` below zero."""
    shown = f"{abs(amount):,.2f}"
    return f"-${shown}" if amount < 0 and shown.strip("0.,") else f"${shown}"


def signed_dollars(amount: Decimal) -> str:
    """The same for changes, with a plus above zero: ``+$0.24``."""
    shown = dollars(amount)
    return f"+{shown}" if amount > 0 and shown != "$0.00" else shown
