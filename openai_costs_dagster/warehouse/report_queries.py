"""What a spend report is made of, across organizations; US dollars unless a currency is named, days UTC."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_AT_ONCE = 20_000  # rows fetched by a server-side cursor


class Cell(NamedTuple):
    """What a day cost by everything that a report can be filtered by."""

    organization: str
    usage_date: dt.date
    project_id: str | None
    service: str
    model: str | None
    user_id: str | None
    api_key_id: str | None
    amount: Decimal


class SpentPart(NamedTuple):
    """A part of a bill in two ranges of days; quantities are null where unknown."""

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
    """What a model's tokens cost in a month, of the days on which they were both billed and counted."""

    organization: str
    model: str
    month: dt.date
    amount: Decimal
    tokens: Decimal
    requests: Decimal | None


class CurrentName(NamedTuple):
    """What a project, user or API key is called."""

    organization: str
    kind: str
    id: str
    name: str


class NonFinalDay(NamedTuple):
    """A day whose spend is not final: not stored, or stored and provisional."""

    organization: str
    usage_date: dt.date
    missing: bool


class Restatement(NamedTuple):
    """By how much a settled day was restated at a time; `parts` counts the rows that changed."""

    organization: str
    usage_date: dt.date
    observed_at: dt.datetime
    currency: str | None
    parts: int
    change: Decimal


class OtherCurrencyAmount(NamedTuple):
    """What a day was billed in another currency, which is never added to dollars."""

    organization: str
    usage_date: dt.date
    currency: str | None
    amount: Decimal


def cells(connection: Connection, organizations: Sequence[str], days: DayRange) -> Iterator[Cell]:
    """All spend of a range of days, in no order; read in portions, so that memory does not grow with it."""
    with connection.transaction(), connection.cursor("report_cells") as cursor:
        cursor.itersize = _AT_ONCE
        yield from map(Cell._make, cursor.execute(statement("report/cells"), _asked(organizations, days)))


def spent_parts(
    connection: Connection, organizations: Sequence[str], days: DayRange, earlier: DayRange
) -> list[SpentPart]:
    """What makes up the bill of `days` and of `earlier`, which ends before them."""
    values = {**_asked(organizations, days), "earlier_first": earlier.first, "earlier_last": earlier.last}
    return [SpentPart._make(row) for row in connection.execute(statement("report/spent_parts"), values)]


def monthly_unit_costs(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[MonthlyUnitCost]:
    """Unit costs by month, oldest first."""
    rows = connection.execute(statement("report/monthly_unit_costs"), _asked(organizations, days))
    return [MonthlyUnitCost._make(row) for row in rows]


def current_names(
    connection: Connection, organizations: Sequence[str], with_addresses: Sequence[str]
) -> list[CurrentName]:
    """The present names of everything that has one; where addresses are kept, those of people without a name."""
    values = {"organizations": list(organizations), "with_addresses": list(with_addresses)}
    rows = connection.execute(statement("report/current_names"), values)
    return [CurrentName._make(row) for row in rows]


def non_final_days(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[NonFinalDay]:
    """The days of a range that may still change or are missing; its last one, today, is never missing."""
    rows = connection.execute(statement("report/non_final_days"), _asked(organizations, days))
    return [NonFinalDay._make(row) for row in rows]


def restatements(
    connection: Connection, organizations: Sequence[str], since: dt.datetime, most: int
) -> list[Restatement]:
    """The largest that were seen since a moment."""
    values = {"organizations": list(organizations), "since": since, "most": most}
    return [Restatement._make(row) for row in connection.execute(statement("report/restatements"), values)]


def other_currencies(connection: Connection, organizations: Sequence[str], days: DayRange) -> list[OtherCurrencyAmount]:
    """What was billed in other currencies, by day."""
    rows = connection.execute(statement("report/other_currencies"), _asked(organizations, days))
    return [OtherCurrencyAmount._make(row) for row in rows]


def _asked(organizations: Sequence[str], days: DayRange) -> dict[str, object]:
    return {"organizations": list(organizations), "first": days.first, "last": days.last}


def first_stored_days(connection: Connection, organizations: Sequence[str]) -> dict[str, dt.date]:
    """The oldest stored day of each organization that has any."""
    return dict(
        connection.execute(statement("report/first_stored_days"), {"organizations": list(organizations)}).fetchall()
    )
