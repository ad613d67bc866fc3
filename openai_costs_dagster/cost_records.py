"""The words that the rooms share about a cost row: its dimensions, groupings and shape. No behaviour lives here."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

Grouping = frozenset[str]
"""The dimensions that a query asked for, by the API's own names."""

GROUPINGS: tuple[Grouping, ...] = (
    frozenset({"project_id", "user_id", "line_item", "api_key_id"}),
    frozenset({"project_id", "line_item", "api_key_id"}),
    frozenset({"project_id", "user_id", "line_item"}),
    frozenset({"project_id", "line_item"}),
)
"""From the finest to the one that every organization is served."""

UNGROUPED: Grouping = frozenset()

BY_USER: Grouping = frozenset({"user_id", "line_item"})
"""Users by themselves, which are served where a project excludes them."""

US_DOLLARS = "usd"
"""The currency of every total, budget, forecast and anomaly."""

MAX_KEY_LENGTH = 500
"""Characters of a line item or project id that the tables of line items and projects take as a key.

PostgreSQL limits an index entry to 2,704 bytes. A longer line item keeps its own name instead of being classified.
"""

_DIMENSIONS = ("project_id", "user_id", "line_item", "api_key_id")


def grouping_name(grouping: Grouping) -> str:
    """How a grouping is written in the database and for people, as in ``project,line_item,api_key``."""
    return ",".join(name.removesuffix("_id") for name in _DIMENSIONS if name in grouping)


def parse_grouping(name: str) -> Grouping:
    """The inverse of `grouping_name`."""
    words = set(name.split(",")) if name else set()
    return frozenset(dimension for dimension in _DIMENSIONS if dimension.removesuffix("_id") in words)


def currency_code(text: str | None) -> str | None:
    """The one spelling of a currency that is stored and compared: trimmed and in lower case.

    None where the API names no currency, or a blank one. Such amounts are a currency of their own and never US dollars.
    """
    return None if text is None else text.strip().lower() or None


def format_amount(amount: Decimal, currency: str | None) -> str:
    """An amount for people, as in ``90,000.00 JPY``."""
    return f"{amount:,.2f} {currency_name(currency)}"


def currency_name(currency: str | None) -> str:
    """A stored code for people, without control characters: codes are the API's text."""
    return "".join(filter(str.isprintable, currency.upper())) if currency else "without a currency"


class ReportedCost(NamedTuple):
    """A cost as it was read, not yet normalised; `from_number` where the amount came as a JSON number."""

    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    line_item: str | None
    currency: str | None
    quantity_unit: str | None
    amount: Decimal | None
    quantity: Decimal | None
    from_number: bool


class CostRow(NamedTuple):
    """One row of a day's bill; unique within the day by everything but amount and quantity.

    Null equals null and differs from the empty string. The currency is spelled as `currency_code` does. Amount is in
    units of its currency, exact; null where the API gave none. Quantity is in `quantity_unit`; null where unknown.
    """

    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    line_item: str | None
    currency: str | None
    quantity_unit: str | None
    amount: Decimal | None
    quantity: Decimal | None
