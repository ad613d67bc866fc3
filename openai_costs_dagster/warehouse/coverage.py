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
    """How far one organization is read; days are UTC."""

    organization: str
    last_day: dt.date | None
    settled_to: dt.date | None
    missing_days: int
    last_success_at: dt.datetime | None
    last_error: str | None
    last_error_is_permanent: bool | None
    absent_amounts: int


@dataclass(frozen=True)
class Coverage:
    """The ends of an organization's stored days, None where there are none; UTC.

    `complete_to` is the last day that was read after its end. Later days, like today, may still grow.
    """

    first_day: dt.date | None
    last_day: dt.date | None
    complete_to: dt.date | None


@dataclass(frozen=True)
class OtherCurrency:
    """What a day was billed in another currency than US dollars, exact, in units of that currency."""

    usage_date: dt.date
    currency: str | None
    amount: Decimal


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
        return cursor.execute(statement("organizations/sync_status")).fetchall()


def stored_groupings(connection: Connection, organization: str) -> list[GroupedDays]:
    """Which days are stored with which grouping, oldest first."""
    with connection.cursor(row_factory=class_row(GroupedDays)) as cursor:
        return cursor.execute(statement("costs/stored_groupings"), {"organization": organization}).fetchall()


def daily_spend(connection: Connection, organization: str, days: DayRange) -> list[DaySpend]:
    """Stored days of a range, oldest first."""
    with connection.cursor(row_factory=class_row(DaySpend)) as cursor:
        return cursor.execute(
            statement("costs/daily_spend"), {"organization": organization, "first": days.first, "last": days.last}
        ).fetchall()


def coverage(connection: Connection, organization: str) -> Coverage:
    """How far an organization's days are stored, and how far they are complete."""
    with connection.cursor(row_factory=class_row(Coverage)) as cursor:
        found = cursor.execute(statement("costs/coverage"), {"organization": organization}).fetchone()
    return found or Coverage(None, None, None)


def last_stored_day(connection: Connection, organization: str) -> dt.date | None:
    """The newest stored day, None where none is."""
    return coverage(connection, organization).last_day


def other_currencies(connection: Connection, organization: str, days: DayRange) -> list[OtherCurrency]:
    """What was billed in currencies other than US dollars, by day; it is in no total of US dollars."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    with connection.cursor(row_factory=class_row(OtherCurrency)) as cursor:
        return cursor.execute(statement("costs/other_currencies"), values).fetchall()


def unreconciled_days(connection: Connection, organization: str) -> list[dt.date]:
    """Settled days whose rows do not add up to the total that the API bills, oldest first."""
    rows = connection.execute(statement("costs/unreconciled_days"), {"organization": organization}).fetchall()
    return [row[0] for row in rows]


def unread_days(connection: Connection, organization: str, days: DayRange) -> list[dt.date]:
    """The days of a range that were not read after their end, oldest first."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return [day for (day,) in connection.execute(statement("costs/unread_days"), values)]


def missing_days(connection: Connection, organization: str, days: DayRange) -> list[dt.date]:
    """The days of a range that are not stored, oldest first."""
    rows = connection.execute(
        statement("costs/missing_days"), {"organization": organization, "first": days.first, "last": days.last}
    ).fetchall()
    return [row[0] for row in rows]
