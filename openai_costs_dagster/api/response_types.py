"""What the Admin API sends, as typed records; decoded by msgspec so that no amount ever passes through a float.

The structs of a bucket hold no cycles and are kept from the garbage collector (`gc=False`): its walks over a page's
rows took a sixth of a load's time.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from openai_costs_dagster.cost_records import ReportedCost, currency_code

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,6})?")
_NO_VALUE = msgspec.Raw(b"null")


class WireAmount(msgspec.Struct, gc=False):
    """`value` stays undecoded: whether it came as a string or as a number decides how exact it is."""

    value: msgspec.Raw = _NO_VALUE
    currency: str | None = None


class WireCost(msgspec.Struct, gc=False):
    """A row of a costs bucket; unknown keys stay in the raw bucket and break nothing."""

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
    """A day; `start_time` and `end_time` in Unix seconds, which may be written as floats."""

    start_time: float
    results: list[WireCost]
    end_time: float | None = None


class WirePage(msgspec.Struct):
    """A page whose buckets are still bytes, so that each day's own bytes can be kept."""

    data: list[msgspec.Raw]
    has_more: bool = False
    next_page: str | None = None


def parse_cost(cost: WireCost) -> ReportedCost:
    """A row without the wire around it. Raises ValueError for an amount that is no decimal number."""
    amount, currency, from_number = None, None, False
    if cost.amount is not None:
        currency = currency_code(cost.amount.currency)
        amount, from_number = _number("amount.value", cost.amount.value)
    return ReportedCost(
        cost.project_id,
        cost.user_id,
        cost.api_key_id,
        cost.line_item,
        currency,
        cost.quantity_unit,
        amount,
        _number("quantity", cost.quantity)[0],
        from_number,
    )


def _number(name: str, raw: msgspec.Raw) -> tuple[Decimal | None, bool]:
    """A number in either of its forms, exact, and whether it came as a JSON number."""
    text = str(raw, "utf-8")
    if text == "null":
        return None, False
    from_number = text[0] != '"'
    digits = text if from_number else text[1:-1]
    if not _DECIMAL.fullmatch(digits):
        raise ValueError(f"{name} is {digits[:60]!r}, which is no decimal number")
    return Decimal(digits), from_number
