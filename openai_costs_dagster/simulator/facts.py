"""The smallest thing that happened, one line item of one key on one day, and the arithmetic of it.

Nothing here knows how the API words it.
"""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation

# The decimal places of an amount. With 27 of them every sum below ten million dollars has at most the 34
# significant digits of the live API, and most sums have more than the 28 that Python's default context keeps.
AMOUNT_PLACES = 27

# Sums and products here raise rather than round: a rounded simulator could not prove its reader exact.
EXACT = Context(prec=400, traps=[Inexact, InvalidOperation])
_ROUNDING = Context(prec=400)


@dataclass(frozen=True, slots=True)
class Fact:
    """What one line item of one key came to on one UTC day. Its amount is the truth, to the last digit.

    `operation` names the usage endpoint that counts it ("completions", "embeddings" …; "" for none).
    `requests` is held by the first line item of its kind of work and is 0 on the others, so that it adds up.
    `unbilled_quantity` is what was done where the bill tells no quantity (calls, sessions): only usage counts it.
    """

    day: date
    project_id: str | None
    project_name: str | None
    user_id: str | None
    user_email: str | None
    api_key_id: str | None
    line_item: str | None
    api_source: str
    currency: str
    amount: Decimal | None
    quantity: Decimal | None
    quantity_unit: str | None
    model: str | None
    operation: str
    requests: int
    unbilled_quantity: Decimal | None = None

    @property
    def units(self) -> Decimal:
        """What was done, in units of the line item: the billed quantity, or what the bill leaves unbilled_quantity."""
        return next((units for units in (self.quantity, self.unbilled_quantity) if units is not None), Decimal(0))

    def scaled(self, factor: Decimal) -> "Fact":
        """The same fact with amount, quantity and requests multiplied.

        Amounts are exact up to `AMOUNT_PLACES` decimal places and rounded half to even beyond; requests are
        rounded down.
        """
        return replace(
            self,
            amount=None if self.amount is None else to_places(EXACT.multiply(self.amount, factor)),
            quantity=None if self.quantity is None else EXACT.multiply(self.quantity, factor),
            requests=int(self.requests * factor),
            unbilled_quantity=None
            if self.unbilled_quantity is None
            else EXACT.multiply(self.unbilled_quantity, factor),
        )


def to_places(amount: Decimal) -> Decimal:
    """The amount, rounded only if it has more than `AMOUNT_PLACES` decimal places."""
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -AMOUNT_PLACES:
        return amount.quantize(Decimal(1).scaleb(-AMOUNT_PLACES), context=_ROUNDING)
    return amount


def total(amounts: list[Decimal]) -> Decimal | None:
    """The exact sum, None for no amounts at all. Raises `decimal.Inexact` rather than round."""
    if not amounts:
        return None
    result = amounts[0]
    for amount in amounts[1:]:
        result = EXACT.add(result, amount)
    return result
