"""Queries of the spend report over all organizations.

Amounts are in US dollars, except in records with a field `currency`. Days are UTC days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_AT_ONCE = 20_000  # The number of rows that one round trip fetches from the database.


class Cell(NamedTuple):
    """The cost of one UTC day for one combination of all fields by which the report can filter."""

    organization: str
    usage_date: dt.date
    project_id: str | None
    service: str
    model: str | None
    user_id: str | None
    api_key_id: str | None
    amount: Decimal


class SpentPart(NamedTuple):
    """The cost of one line item in two ranges of days, to compare them.

    `earlier_amount` and `earlier_quantity` belong to the earlier range. A quantity is None if OpenAI reported none.
    """

    organization: str
    project: str
    model: str
    line_item: str
    kind: str
    quantity_unit: str | None
    amount: Decimal
    earlier_amount: Decimal
    quantity: Decimal | None
    earlier_quantity: Decimal | None


class MonthlyUnitCost(NamedTuple):
    """The cost, number of tokens and number of requests of one model in one month.

    Only days for which costs and usage are both stored are included, because the cost per token would be wrong
    otherwise.
    """

    organization: str
    model: str
    month: dt.date
    amount: Decimal
    tokens: Decimal
    requests: Decimal | None


class CurrentName(NamedTuple):
    """The current name of the project, user or API key with this id. `kind` is project, user or api_key."""

    organization: str
    kind: str
    id: str
    name: str


class NonFinalDay(NamedTuple):
    """A UTC day whose costs may still change (provisional), or whose costs are not stored (missing)."""

    organization: str
    usage_date: dt.date
    missing: bool


class Restatement(NamedTuple):
    """A later change of a settled day's costs by OpenAI. `parts` is the number of cost rows that changed."""

    organization: str
    usage_date: dt.date
    observed_at: dt.datetime
    currency: str | None
    parts: int
    change: Decimal


class OtherCurrencyAmount(NamedTuple):
    """The cost of one UTC day in a currency other than US dollars. `amount` is in units of `currency`."""

    organization: str
    usage_date: dt.date
    currency: str | None
    amount: Decimal


def cells(connection: Connection, organizations: Sequence[str], days: DayRange) -> Iterator[Cell]:
    """Yield the costs of a range of days in no particular order.

    A server-side cursor fetches the rows in batches, because all rows of a long range may not fit into memory.
    """
    with connection.transaction(), connection.cursor("report_cells") as cursor:
        # By default, psycopg fetches only 100 rows per round trip from a server-side cursor, which is slow for many
        # rows.
        cursor.itersize = _AT_ONCE
        yield from map(Cell._make, cursor.execute(statement("report/cells"), _parameters(organizations, days)))


def spent_parts(
    connection: Connection, organizations: Sequence[str], days: DayRange, earlier: DayRange
) -> list[SpentPart]:
    """Return the cost of each line item in the range `days` and in the range `earlier`.

    The range `earlier` must end before `days` begins.
    """
    values = {**_parameters(organizations, days), "earlier_first": earlier.first, "earlier_last": earlier.last}
    return [SpentPart._make(row) for row in connection.execute(statement("report/spent_parts"), values)]


def monthly_unit_costs(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[MonthlyUnitCost]:
    """Return the cost and the number of tokens of each model in each month of a range, oldest month first."""
    rows = connection.execute(statement("report/monthly_unit_costs"), _parameters(organizations, days))
    return [MonthlyUnitCost._make(row) for row in rows]


def current_names(
    connection: Connection, organizations: Sequence[str], with_addresses: Sequence[str]
) -> list[CurrentName]:
    """Return the current names of all projects, users and API keys of the organizations.

    For organizations in `with_addresses`, a user without a name is shown by the user's email address.
    """
    values = {"organizations": list(organizations), "with_addresses": list(with_addresses)}
    rows = connection.execute(statement("report/current_names"), values)
    return [CurrentName._make(row) for row in rows]


def non_final_days(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[NonFinalDay]:
    """Return the provisional and missing days of a range that ends today.

    Today is never returned as missing, because its costs may not have been fetched yet.
    """
    rows = connection.execute(statement("report/non_final_days"), _parameters(organizations, days))
    return [NonFinalDay._make(row) for row in rows]


def restatements(
    connection: Connection, organizations: Sequence[str], since: dt.datetime, most: int
) -> list[Restatement]:
    """Return the `most` largest changes by OpenAI of costs of settled days that were detected at or after `since`."""
    values = {"organizations": list(organizations), "since": since, "most": most}
    return [Restatement._make(row) for row in connection.execute(statement("report/restatements"), values)]


def other_currencies(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[OtherCurrencyAmount]:
    """Return the daily costs in currencies other than US dollars. All other figures of the report leave them out."""
    rows = connection.execute(statement("report/other_currencies"), _parameters(organizations, days))
    return [OtherCurrencyAmount._make(row) for row in rows]


def _parameters(organizations: Sequence[str], days: DayRange) -> dict[str, object]:
    return {"organizations": list(organizations), "first": days.first, "last": days.last}


def first_stored_days(connection: Connection, organizations: Sequence[str]) -> dict[str, dt.date]:
    """Return the first UTC day with stored costs by organization. Organizations without stored costs are absent."""
    return dict(
        connection.execute(statement("report/first_stored_days"), {"organizations": list(organizations)}).fetchall()
    )
