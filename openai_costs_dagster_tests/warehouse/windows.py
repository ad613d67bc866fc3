"""Helpers that store days as a synchronization does and read the stored rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Context, Decimal, Inexact
from typing import Any

from psycopg import sql

from openai_costs_dagster.cost_records import GROUPINGS, CostRow, Grouping
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse.costs import Staging, StoredDay, SyncWindow
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.schema import SCHEMA, metadata

from ..conftest import NOW

DAY = dt.date(2026, 3, 2)
WIDE = Context(prec=20_000, Emax=99_999, Emin=-99_999, traps=[Inexact])
COARSEST = GROUPINGS[-1]
BY_KEY = GROUPINGS[1]

Window = Mapping[dt.date, Sequence[CostRow]]


def row(
    amount: str | Decimal | None,
    line_item: str | None = "gpt-5.5, input",
    project_id: str | None = "proj_a",
    **more: Any,
) -> CostRow:
    """Return a cost row with defaults for all fields that a test does not set."""
    values: dict[str, Any] = {
        "user_id": None,
        "api_key_id": None,
        "currency": "usd",
        "quantity_unit": None,
        "quantity": None,
        **more,
    }
    exact = None if amount is None else Decimal(amount)
    return CostRow(project_id=project_id, line_item=line_item, amount=exact, **values)


def total(amounts: Iterable[Decimal | None]) -> Decimal:
    result = Decimal(0)
    for amount in amounts:
        result = WIDE.add(result, amount or Decimal(0))
    return result


def stored_day(day: dt.date, rows: Sequence[CostRow], *, provisional: bool = False, **wrong: Any) -> StoredDay:
    """Return the summary of a day with these rows, as a synchronization creates it. `wrong` replaces single fields."""
    currencies = {row.currency for row in rows if row.amount is not None}
    values: dict[str, Any] = {
        "row_count": len(rows),
        "received_count": len(rows),
        "absent_amounts": sum(row.amount is None for row in rows),
        "totals": {currency: total(row.amount for row in rows if row.currency == currency) for currency in currencies},
        "reconciled": True,
        "reconcile_difference": Decimal(0),
        **wrong,
    }
    return StoredDay(day, provisional, **values)


def reading(days: DayRange, *, organization: str = "acme", grouping: Grouping = COARSEST) -> SyncWindow:
    return SyncWindow(organization, days, grouping, requests=2, started_at=NOW, trigger="manual")


def store(
    connection: Connection,
    window: Window,
    *,
    organization: str = "acme",
    grouping: Grouping = COARSEST,
    provisional: Collection[dt.date] = (),
    raw: Mapping[dt.date, bytes] | None = None,
    now: dt.datetime = NOW,
) -> None:
    """Replace the days of a sync window. The raw bytes of a day are derived from its rows unless given."""
    staging = Staging(connection)
    for day, rows in window.items():
        staging.add(day, rows, (raw or {}).get(day) or repr((day, rows)).encode())
    days = [stored_day(day, rows, provisional=day in provisional) for day, rows in window.items()]
    staging.commit(
        reading(DayRange(min(window), max(window)), organization=organization, grouping=grouping), days, now=now
    )


def stored(connection: Connection, organization: str = "acme") -> dict[dt.date, list[CostRow]]:
    """Return the rows of `daily_costs` by day."""
    found = connection.execute(
        """
        select
            usage_date, project_id, user_id, api_key_id, line_item, currency, quantity_unit, amount, quantity
        from openai_costs.daily_costs
        where organization = %s
        """,
        [organization],
    )
    days: dict[dt.date, list[CostRow]] = {}
    for day, *values in found:
        days.setdefault(day, []).append(CostRow(*values))
    return days


def everything(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of this package."""
    return {
        table.name: sorted(
            connection.execute(
                sql.SQL("select t::text from {} as t").format(sql.Identifier(SCHEMA, table.name))
            ).fetchall()
        )
        for table in metadata.sorted_tables
    }
