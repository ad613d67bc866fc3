"""Queries of the spend report across organizations. Amounts are US dollars unless a currency is named; days are UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_AT_ONCE = 20_000  # Rows per fetch of the server-side cursor.


class Cell(NamedTuple):
    """The cost of a day by all dimensions that the report can filter."""

    organization: str
    usage_date: dt.date
    project_id: str | None
    service: str
    model: str | None
    user_id: str | None
    api_key_id: str | None
    amount: Decimal


class SpentPart(NamedTuple):
    """A line item of the bill in two ranges of days. Unknown quantities are None."""

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
    """The cost of a model's tokens in a month, over the days with both costs and usage."""

    organization: str
    model: str
    month: dt.date
    amount: Decimal
    tokens: Decimal
    requests: Decimal | None


class CurrentName(NamedTuple):
    """The current name of a project, user or API key."""

    organization: str
    kind: str
    id: str
    name: str


class NonFinalDay(NamedTuple):
    """A day that is missing or provisional."""

    organization: str
    usage_date: dt.date
    missing: bool


class Restatement(NamedTuple):
    """A restatement of a settled day. `parts` is the number of changed rows."""

    organization: str
    usage_date: dt.date
    observed_at: dt.datetime
    currency: str | None
    parts: int
    change: Decimal


class OtherCurrencyAmount(NamedTuple):
    """The cost of a day in a currency other than US dollars."""

    organization: str
    usage_date: dt.date
    currency: str | None
    amount: Decimal


def cells(connection: Connection, organizations: Sequence[str], days: DayRange) -> Iterator[Cell]:
    """Yield the spend of a range of days in no particular order. A server-side cursor bounds the memory."""
    with connection.transaction(), connection.cursor("report_cells") as cursor:
        # By default, psycopg fetches only 100 rows per round trip from a server-side cursor.
        cursor.itersize = _AT_ONCE
        yield from map(Cell._make, cursor.execute(statement("report/cells"), _parameters(organizations, days)))


def spent_parts(
    connection: Connection, organizations: Sequence[str], days: DayRange, earlier: DayRange
) -> list[SpentPart]:
    """Return the billed line items of the ranges `days` and `earlier`. The range `earlier` must end before `days`."""
    values = {**_parameters(organizations, days), "earlier_first": earlier.first, "earlier_last": earlier.last}
    return [SpentPart._make(row) for row in connection.execute(statement("report/spent_parts"), values)]


def monthly_unit_costs(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[MonthlyUnitCost]:
    """Return unit costs by month, oldest first."""
    rows = connection.execute(statement("report/monthly_unit_costs"), _parameters(organizations, days))
    return [MonthlyUnitCost._make(row) for row in rows]


def current_names(
    connection: Connection, organizations: Sequence[str], with_addresses: Sequence[str]
) -> list[CurrentName]:
    """Return current names. For organizations in `with_addresses`, the email address replaces a missing name."""
    values = {"organizations": list(organizations), "with_addresses": list(with_addresses)}
    rows = connection.execute(statement("report/current_names"), values)
    return [CurrentName._make(row) for row in rows]


def non_final_days(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[NonFinalDay]:
    """Return the provisional and missing days of a range. The last day, today, is never reported as missing."""
    rows = connection.execute(statement("report/non_final_days"), _parameters(organizations, days))
    return [NonFinalDay._make(row) for row in rows]


def restatements(
    connection: Connection, organizations: Sequence[str], since: dt.datetime, most: int
) -> list[Restatement]:
    """Return the `most` largest restatements that were detected at or after `since`."""
    values = {"organizations": list(organizations), "since": since, "most": most}
    return [Restatement._make(row) for row in connection.execute(statement("report/restatements"), values)]


def other_currencies(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[OtherCurrencyAmount]:
    """Return costs in currencies other than US dollars, by day."""
    rows = connection.execute(statement("report/other_currencies"), _parameters(organizations, days))
    return [OtherCurrencyAmount._make(row) for row in rows]


def _parameters(organizations: Sequence[str], days: DayRange) -> dict[str, object]:
    return {"organizations": list(organizations), "first": days.first, "last": days.last}


def first_stored_days(connection: Connection, organizations: Sequence[str]) -> dict[str, dt.date]:
    """Return the first stored day of each organization; organizations without stored days are absent."""
    return dict(
        connection.execute(statement("report/first_stored_days"), {"organizations": list(organizations)}).fetchall()
    )
