"""Cost rows, groupings and currency codes: the records and names that all packages share."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

Grouping = frozenset[str]
"""The dimensions by which a query groups costs, with OpenAI's names."""

# OpenAI refuses users and projects in one query for some organizations, and API keys for requests that start before
# 2025-12-06 (docs/openai-api.md).
GROUPINGS: tuple[Grouping, ...] = (
    frozenset({"project_id", "user_id", "line_item", "api_key_id"}),
    frozenset({"project_id", "line_item", "api_key_id"}),
    frozenset({"project_id", "user_id", "line_item"}),
    frozenset({"project_id", "line_item"}),
)
"""All groupings that the sync tries, from the finest to the coarsest. OpenAI serves the coarsest to everybody."""

UNGROUPED: Grouping = frozenset()
"""The ungrouped query: one total per day and currency, which verifies the grouped costs of the day."""

BY_USER: Grouping = frozenset({"user_id", "line_item"})
"""The grouping by user and line item, without projects.

OpenAI serves this grouping even to organizations for which OpenAI refuses users and projects in one query.
"""

US_DOLLARS = "usd"
"""The currency of every total, budget, forecast and anomaly."""

MAX_KEY_LENGTH = 500
"""The most characters of a line item or a project id that are stored as a table key.

PostgreSQL limits an index entry to 2,704 bytes. A line item of more characters is not
parsed: the whole text of the line item is its category.
"""

# The order of the dimensions in texts. A frozenset has no stable order.
_DIMENSIONS = ("project_id", "user_id", "line_item", "api_key_id")


def grouping_name(grouping: Grouping) -> str:
    """Return the text for a grouping in the database and in messages, as in ``project,line_item,api_key``."""
    return ",".join(name.removesuffix("_id") for name in _DIMENSIONS if name in grouping)


def parse_grouping(name: str) -> Grouping:
    """Return the grouping for a text that `grouping_name` returned."""
    # An empty text splits into one empty name, and the ungrouped query has no names.
    names = set(name.split(",")) if name else set()
    return frozenset(dimension for dimension in _DIMENSIONS if dimension.removesuffix("_id") in names)


class RefusedGrouping(NamedTuple):
    """A range of UTC days for which OpenAI refused a grouping at the time `observed_at`.

    Both ends are included. None means no limit on that side.
    """

    grouping: Grouping
    first_day: dt.date | None
    last_day: dt.date | None
    observed_at: dt.datetime

    def covers(self, day: dt.date) -> bool:
        """Whether the grouping was refused for this day."""
        return (self.first_day is None or self.first_day <= day) and (self.last_day is None or day <= self.last_day)


def currency_code(text: str | None) -> str | None:
    """Return a currency code in the spelling that is stored and compared: in lower case, without spaces around it.

    Return None if the API sends no currency or a blank one. Such amounts are never counted as US dollars.
    """
    return None if text is None else text.strip().lower() or None


def format_amount(amount: Decimal, currency: str | None) -> str:
    """Return an amount with its currency for display, as in ``90,000.00 JPY``."""
    return f"{amount:,.2f} {currency_name(currency)}"


def currency_name(currency: str | None) -> str:
    """Return a stored currency code for display. Control characters are removed, because OpenAI sends the code."""
    return "".join(filter(str.isprintable, currency.upper())) if currency else "without a currency"


class ReportedCost(NamedTuple):
    """A cost row as OpenAI reported it.

    `amount` is in units of `currency`. `from_number` is true if the API sent the amount as a JSON number, which may
    carry rounding noise, and false if it sent an exact string.
    """

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
    """A stored cost row of one day. The row is unique within the day by all fields except amount and quantity.

    In this comparison, two None are equal, and None differs from the empty string. `currency` has the spelling that
    `currency_code` returns. `amount` is exact, in units of its currency, and None if OpenAI sent no amount. `quantity`
    is in `quantity_unit`, and None if unknown.
    """

    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    line_item: str | None
    currency: str | None
    quantity_unit: str | None
    amount: Decimal | None
    quantity: Decimal | None
