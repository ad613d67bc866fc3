"""Queries about stored days of costs: first and last day, missing days, groupings, and days with wrong totals.

The command `openai-costs status`, the Dagster asset checks and the reports use these queries.
"""

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
    """The stored days of one organization and the result of its latest run. Days are UTC days.

    `settled_to` is the last day whose costs are not expected to change. `absent_amounts` counts the stored cost rows
    without an amount.
    """

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
    """The first and the last stored UTC day of an organization. All fields are None if no day is stored.

    `complete_to` is the last day whose costs were fetched after the end of the day. Costs of a day that was fetched
    before its end still grow.
    """

    first_day: dt.date | None
    last_day: dt.date | None
    complete_to: dt.date | None


@dataclass(frozen=True)
class OtherCurrency:
    """The exact costs of one UTC day in a currency other than US dollars. `amount` is in units of `currency`."""

    usage_date: dt.date
    currency: str | None
    amount: Decimal


@dataclass(frozen=True)
class GroupedDays:
    """A range of consecutive UTC days whose costs are stored with the same grouping, for example by project."""

    grouping: str
    first_day: dt.date
    last_day: dt.date


@dataclass(frozen=True)
class DaySpend:
    """The spend of one stored UTC day in US dollars.

    If OpenAI returned costs for a settled day once and returns none now, `vanished` is the former amount of the day.
    Otherwise `vanished` is None.
    """

    usage_date: dt.date
    amount_usd: Decimal
    provisional: bool
    row_count: int
    vanished: Decimal | None


def sync_status(connection: Connection) -> list[SyncStatus]:
    """Return the synchronization status of every onboarded organization, ordered by name."""
    with connection.cursor(row_factory=class_row(SyncStatus)) as cursor:
        return cursor.execute(statement("organizations/sync_status")).fetchall()


def stored_groupings(connection: Connection, organization: str) -> list[GroupedDays]:
    """Return ranges of stored days with the grouping of their costs, oldest range first."""
    with connection.cursor(row_factory=class_row(GroupedDays)) as cursor:
        return cursor.execute(statement("costs/stored_groupings"), {"organization": organization}).fetchall()


def daily_spend(connection: Connection, organization: str, days: DayRange) -> list[DaySpend]:
    """Return the spend of each stored day within the range `days`, oldest day first."""
    with connection.cursor(row_factory=class_row(DaySpend)) as cursor:
        return cursor.execute(
            statement("costs/daily_spend"), {"organization": organization, "first": days.first, "last": days.last}
        ).fetchall()


def coverage(connection: Connection, organization: str) -> Coverage:
    """Return the first stored day, the last stored day, and the last day that was fetched after its end."""
    with connection.cursor(row_factory=class_row(Coverage)) as cursor:
        found = cursor.execute(statement("costs/coverage"), {"organization": organization}).fetchone()
    return found or Coverage(None, None, None)


def last_stored_day(connection: Connection, organization: str) -> dt.date | None:
    """Return the last UTC day for which costs of the organization are stored, or None if no day is stored."""
    return coverage(connection, organization).last_day


def other_currencies(connection: Connection, organization: str, days: DayRange) -> list[OtherCurrency]:
    """Return the costs in currencies other than US dollars, by day. Totals in US dollars do not include these costs."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    with connection.cursor(row_factory=class_row(OtherCurrency)) as cursor:
        return cursor.execute(statement("costs/other_currencies"), values).fetchall()


def unreconciled_days(connection: Connection, organization: str) -> list[dt.date]:
    """Return the settled days whose stored rows do not add up to OpenAI's total without grouping, oldest first."""
    rows = connection.execute(statement("costs/unreconciled_days"), {"organization": organization}).fetchall()
    return [row[0] for row in rows]


def unread_days(connection: Connection, organization: str, days: DayRange) -> list[dt.date]:
    """Return the days of a range whose costs are missing or were fetched before the end of the day, oldest first."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return [day for (day,) in connection.execute(statement("costs/unread_days"), values)]


def missing_days(connection: Connection, organization: str, days: DayRange) -> list[dt.date]:
    """Return the days of a range for which no costs are stored, oldest first."""
    rows = connection.execute(
        statement("costs/missing_days"), {"organization": organization, "first": days.first, "last": days.last}
    ).fetchall()
    return [row[0] for row in rows]
