"""Answers questions about what is stored, from the views; for `status`, checks and reports."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from psycopg.rows import class_row

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


@dataclass(frozen=True)
class SyncStatus:
    """How far one organization is read; days are UTC, amounts US dollars."""

    organization: str
    last_day: dt.date | None
    settled_to: dt.date | None
    missing_days: int
    last_success_at: dt.datetime | None
    last_error: str | None
    last_error_is_permanent: bool | None
    month_to_date: Decimal
    absent_amounts: int


@dataclass(frozen=True)
class GroupedDays:
    """A run of days that were served with one grouping."""

    grouping: str
    first_day: dt.date
    last_day: dt.date


@dataclass(frozen=True)
class DaySpend:
    """One stored day's spend in US dollars; `vanished` is what a settled day held before it came back empty."""

    usage_date: dt.date
    amount_usd: Decimal
    provisional: bool
    row_count: int
    vanished: Decimal | None


def sync_status(connection: Connection) -> list[SyncStatus]:
    """Every organization that was ever contacted, by name."""
    with connection.cursor(row_factory=class_row(SyncStatus)) as cursor:
        return cursor.execute(statement("sync_status")).fetchall()


def detail_served(connection: Connection, organization: str) -> list[GroupedDays]:
    """Which days are stored with which grouping, oldest first."""
    with connection.cursor(row_factory=class_row(GroupedDays)) as cursor:
        return cursor.execute(statement("detail_served"), {"organization": organization}).fetchall()


def daily_spend(connection: Connection, organization: str, days: DayRange) -> list[DaySpend]:
    """Stored days of a range, oldest first."""
    with connection.cursor(row_factory=class_row(DaySpend)) as cursor:
        return cursor.execute(
            statement("daily_spend"), {"organization": organization, "first": days.first, "last": days.last}
        ).fetchall()


def stored_ends(connection: Connection, organization: str) -> tuple[dt.date | None, dt.date | None]:
    """The oldest and the newest stored day, None where none is."""
    row = connection.execute(statement("stored_ends"), {"organization": organization}).fetchone()
    return (row[0], row[1]) if row else (None, None)


def last_stored_day(connection: Connection, organization: str) -> dt.date | None:
    """The newest stored day, None where none is."""
    return stored_ends(connection, organization)[1]


def unreconciled_days(connection: Connection, organization: str) -> list[dt.date]:
    """Settled days whose rows do not add up to the total that the API bills, oldest first."""
    rows = connection.execute(statement("unreconciled_days"), {"organization": organization}).fetchall()
    return [row[0] for row in rows]


def days_that_did_not_arrive(connection: Connection, organization: str, days: DayRange) -> list[dt.date]:
    """The days of a range that were not read after their end, oldest first."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return [day for (day,) in connection.execute(statement("days_that_did_not_arrive"), values)]


def missing_days(connection: Connection, organization: str, days: DayRange) -> list[dt.date]:
    """The days of a range that are not stored, oldest first."""
    rows = connection.execute(
        statement("missing_days"), {"organization": organization, "first": days.first, "last": days.last}
    ).fetchall()
    return [row[0] for row in rows]
