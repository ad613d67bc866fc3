"""Queries about stored days: coverage, gaps, reconciliation and groupings, for `status`, checks and reports."""

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
    """The synchronization status of one organization. Days are UTC."""

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
    """The first and last stored UTC day of an organization; None if no day is stored.

    `complete_to` is the last day that was fetched after its end. The costs of later days may still grow.
    """

    first_day: dt.date | None
    last_day: dt.date | None
    complete_to: dt.date | None


@dataclass(frozen=True)
class OtherCurrency:
    """The exact costs of a day in a currency other than US dollars, in units of that currency."""

    usage_date: dt.date
    currency: str | None
    amount: Decimal


@dataclass(frozen=True)
class GroupedDays:
    """Consecutive days that are stored with the same grouping."""

    grouping: str
    first_day: dt.date
    last_day: dt.date


@dataclass(frozen=True)
class DaySpend:
    """The spend of one stored day in US dollars.

    `vanished` is the former amount of a settled day for which OpenAI now returns no costs.
    """

    usage_date: dt.date
    amount_usd: Decimal
    provisional: bool
    row_count: int
    vanished: Decimal | None


def sync_status(connection: Connection) -> list[SyncStatus]:
    """Return the status of every onboarded organization, by name."""
    with connection.cursor(row_factory=class_row(SyncStatus)) as cursor:
        return cursor.execute(statement("organizations/sync_status")).fetchall()


def stored_groupings(connection: Connection, organization: str) -> list[GroupedDays]:
    """Return the groupings of the stored days, oldest first."""
    with connection.cursor(row_factory=class_row(GroupedDays)) as cursor:
        return cursor.execute(statement("costs/stored_groupings"), {"organization": organization}).fetchall()


def daily_spend(connection: Connection, organization: str, days: DayRange) -> list[DaySpend]:
    """Return the stored days of a range, oldest first."""
    with connection.cursor(row_factory=class_row(DaySpend)) as cursor:
        return cursor.execute(
            statement("costs/daily_spend"), {"organization": organization, "first": days.first, "last": days.last}
        ).fetchall()


def coverage(connection: Connection, organization: str) -> Coverage:
    """Return the first, last and last complete stored day of an organization."""
    with connection.cursor(row_factory=class_row(Coverage)) as cursor:
        found = cursor.execute(statement("costs/coverage"), {"organization": organization}).fetchone()
    return found or Coverage(None, None, None)


def last_stored_day(connection: Connection, organization: str) -> dt.date | None:
    """Return the latest stored day, or None if no day is stored."""
    return coverage(connection, organization).last_day


def other_currencies(connection: Connection, organization: str, days: DayRange) -> list[OtherCurrency]:
    """Return costs in currencies other than US dollars, by day. Totals in US dollars exclude these costs."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    with connection.cursor(row_factory=class_row(OtherCurrency)) as cursor:
        return cursor.execute(statement("costs/other_currencies"), values).fetchall()


def unreconciled_days(connection: Connection, organization: str) -> list[dt.date]:
    """Return settled days whose rows do not add up to OpenAI's ungrouped total, oldest first."""
    rows = connection.execute(statement("costs/unreconciled_days"), {"organization": organization}).fetchall()
    return [row[0] for row in rows]


def unread_days(connection: Connection, organization: str, days: DayRange) -> list[dt.date]:
    """Return the days of a range that were not fetched after their end, oldest first."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return [day for (day,) in connection.execute(statement("costs/unread_days"), values)]


def missing_days(connection: Connection, organization: str, days: DayRange) -> list[dt.date]:
    """Return the days of a range that are not stored, oldest first."""
    rows = connection.execute(
        statement("costs/missing_days"), {"organization": organization, "first": days.first, "last": days.last}
    ).fetchall()
    return [row[0] for row in rows]
