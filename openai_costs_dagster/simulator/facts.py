"""Facts: the generated consumption of one line item by one API key on one day, with exact amounts.

Facts do not depend on the format of API responses.
"""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation

# With 27 decimal places, sums below ten million dollars fit into the 34 significant digits of the live API. Most sums
# have more than the 28 digits of Python's default context, so that a client that rounds is discovered.
AMOUNT_PLACES = 27

# The context `EXACT` raises an error instead of rounding, because a simulator that rounds could not show whether a
# client is exact.
EXACT = Context(prec=400, traps=[Inexact, InvalidOperation])
_ROUNDING = Context(prec=400)


@dataclass(frozen=True, slots=True)
class Fact:
    """The consumption of one line item by one API key on one UTC day, with its exact amount.

    `operation` is the usage endpoint that counts the fact, as in "completions", or "" if no endpoint counts it. Only
    the first line item of a workload has `requests`, so that the requests of a day add up correctly.
    `unbilled_quantity` is the number of calls or sessions if the costs of a line item have no quantity. Only usage
    contains this number.
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
        """The consumption in units of the line item.

        The value is the billed quantity or, if there is none, the unbilled quantity or zero.
        """
        return next((units for units in (self.quantity, self.unbilled_quantity) if units is not None), Decimal(0))

    def scaled(self, factor: Decimal) -> "Fact":
        """Return a copy whose amount, quantities and requests are multiplied by `factor`.

        Amounts are rounded half to even to `AMOUNT_PLACES` decimal places. Requests are rounded down.
        """
        return replace(
            self,
            amount=None if self.amount is None else to_places(EXACT.multiply(self.amount, factor)),
            quantity=None if self.quantity is None else EXACT.multiply(self.quantity, factor),
            # The number of requests stays a whole number, even for a part of a day.
            requests=int(self.requests * factor),
            unbilled_quantity=None
            if self.unbilled_quantity is None
            else EXACT.multiply(self.unbilled_quantity, factor),
        )


def to_places(amount: Decimal) -> Decimal:
    """Return the amount, rounded to `AMOUNT_PLACES` decimal places if it has more."""
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -AMOUNT_PLACES:
        return amount.quantize(Decimal(1).scaleb(-AMOUNT_PLACES), context=_ROUNDING)
    return amount


def total(amounts: list[Decimal]) -> Decimal | None:
    """Return the exact sum of the amounts, or None if there are no amounts.

    Raises `decimal.Inexact` if the sum would have to be rounded.
    """
    if not amounts:
        return None
    result = amounts[0]
    for amount in amounts[1:]:
        result = EXACT.add(result, amount)
    return result
