"""The types of the costs responses. msgspec decodes them so that no amount is ever a float.

The types of a bucket are excluded from garbage collection (`gc=False`). They contain no reference cycles, and the
collector's passes over the rows of a page took one sixth of the load time.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from openai_costs_dagster.cost_records import ReportedCost, currency_code

# Decimal() also accepts NaN, Infinity, spaces and underscores, which are no valid amounts. For other texts, and for
# exponents of more than 18 digits, Decimal() raises InvalidOperation, which is not a ValueError.
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,6})?")
_NO_VALUE = msgspec.Raw(b"null")


class WireAmount(msgspec.Struct, gc=False):
    """The amount of a costs row.

    `value` stays undecoded, because only its text shows whether the API sent an exact string or a JSON number.
    """

    value: msgspec.Raw = _NO_VALUE
    currency: str | None = None


class WireCost(msgspec.Struct, gc=False):
    """A row of a costs bucket. Unknown JSON keys are ignored here and stay in the stored bytes of the bucket."""

    amount: WireAmount | None = None
    line_item: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    quantity: msgspec.Raw = _NO_VALUE
    quantity_unit: str | None = None
    organization_id: str | None = None
    project_name: str | None = None
    user_email: str | None = None


class WireBucket(msgspec.Struct, gc=False):
    """The costs of one day. Times are Unix seconds, which the API may write with a decimal point."""

    start_time: float
    results: list[WireCost]
    end_time: float | None = None


class WirePage(msgspec.Struct):
    """A page of costs or usage. The buckets stay undecoded, because the unchanged bytes of each day are stored."""

    data: list[msgspec.Raw]
    has_more: bool = False
    next_page: str | None = None


def parse_cost(cost: WireCost) -> ReportedCost:
    """Convert a costs row of the API into a record. Raises ValueError if an amount or a quantity is not a decimal."""
    amount, currency, from_number = None, None, False
    if cost.amount is not None:
        currency = currency_code(cost.amount.currency)
        amount, from_number = _parse_number("amount.value", cost.amount.value)
    return ReportedCost(
        cost.project_id,
        cost.user_id,
        cost.api_key_id,
        cost.line_item,
        currency,
        cost.quantity_unit,
        amount,
        _parse_number("quantity", cost.quantity)[0],
        from_number,
    )


def _parse_number(name: str, raw: msgspec.Raw) -> tuple[Decimal | None, bool]:
    """Return the exact value of a JSON number or of a string with a number, and whether `raw` is a JSON number."""
    text = str(raw, "utf-8")
    if text == "null":
        return None, False
    from_number = text[0] != '"'
    digits = text if from_number else text[1:-1]
    if not _DECIMAL.fullmatch(digits):
        raise ValueError(f"{name} is {digits[:60]!r}, which is not a decimal number")
    return Decimal(digits), from_number
