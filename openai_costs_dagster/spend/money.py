"""Exact decimal arithmetic for amounts of money, and their text in US dollars.

OpenAI's amounts have up to 34 significant digits, and zero is sent as ``0E-6176``. Python's default decimal context
rounds to 28 digits. All arithmetic on amounts therefore uses the context `EXACT`, which raises an error instead of
rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

_DIGITS = 16_000  # Enough for exact sums of decimal128 numbers, whose digits can be 12,321 places apart.
EXACT = Context(prec=_DIGITS, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_normalize = EXACT.normalize
# A limit above every exponent of decimal128 (-6176 to 6144). OpenAI's amounts have the 34 digits of that format, and
# the zero 0E-6176 has its smallest exponent.
_LARGEST_EXPONENT = 6_200
_ZERO = Decimal(0)
# A JSON number with fewer digits than 12 was printed by OpenAI's server without cutting digits. From 12 digits on, the
# last digit may be rounded.
_DIGITS_OF_A_DOUBLE = 12


def normalised(value: Decimal) -> Decimal:
    """Return the number without trailing zeros: ``0E-6176`` becomes 0, and 2.1900 becomes 2.19.

    Raises `ValueError` for infinities, NaN, and numbers outside the range of a decimal128.
    """
    if not value:
        return _ZERO
    if not value.is_finite():
        raise ValueError(f"{value} is not a valid amount")
    if not -_LARGEST_EXPONENT <= value.adjusted() <= _LARGEST_EXPONENT:
        raise ValueError(f"{value} is outside the range of valid amounts")
    try:
        return _normalize(value)
    except Inexact:
        raise ValueError(f"a number of more than {_DIGITS} digits is not a valid amount") from None


def add(left: Decimal, right: Decimal) -> Decimal:
    """Return the exact sum of two normalised numbers."""
    return EXACT.add(left, right)


def subtract(left: Decimal, right: Decimal) -> Decimal:
    """Return the exact difference of two normalised numbers."""
    return EXACT.subtract(left, right)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of all amounts, or 0 without amounts."""
    result = _ZERO
    for amount in amounts:
        # A sum with a zero whose exponent is -6176 would have thousands of additional digits.
        if amount:
            result = EXACT.add(result, amount)
    return result


def add_known(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    """Return the sum of two amounts that may be unknown.

    An unknown amount counts as 0. If both amounts are unknown, the result is None.
    """
    if left is None or right is None:
        return right if left is None else left
    return EXACT.add(left, right)


def slack_of_number(value: Decimal) -> Decimal:
    """Return the largest rounding error of an amount that OpenAI sent as a JSON number, in the currency of the amount.

    OpenAI's server converted the exact amount to a double and printed the double. Each of these two steps changes the
    amount by at most half a unit in the last place. A number with many digits may also have been cut when it was
    printed.
    """
    _, digits, exponent = value.as_tuple()
    half_a_digit = EXACT.scaleb(Decimal("0.5"), int(exponent))
    unit = Decimal(math.ulp(value))
    # The number exceeds the range of a double, so that its precision is only limited by its last printed digit.
    if not unit.is_finite():
        return half_a_digit
    return max(unit, half_a_digit) if len(digits) >= _DIGITS_OF_A_DOUBLE else unit


def dollars(amount: Decimal) -> str:
    """Format an amount in US dollars to the cent, as in ``$1,234.50`` or ``-$0.24``."""
    shown = f"{abs(amount):,.2f}"
    return f"-${shown}" if amount < 0 and shown.strip("0.,") else f"${shown}"


def signed_dollars(amount: Decimal) -> str:
    """Format a change in US dollars to the cent, with a plus sign for an increase, as in ``+$0.24``."""
    shown = dollars(amount)
    return f"+{shown}" if amount > 0 and shown != "$0.00" else shown
