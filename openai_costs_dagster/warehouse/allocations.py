"""Stores costs that are allocated to users and API keys, and OpenAI's totals per user, which the allocation uses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.records import AllocatedCost, UserTotal
from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.copy import copy_into
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.lock import transaction_lock
from openai_costs_dagster.warehouse.statements import statement

_INSERT_USER_COST_DAY = """
insert into openai_costs.user_cost_days (organization, usage_date, fetched_at)
values (%(organization)s, %(usage_date)s, %(now)s)
"""


class SyncedDay(NamedTuple):
    """A UTC day with stored costs, and how its costs were fetched.

    `sync_window_id` is the row in the table `sync_windows` of the fetch. `reconciled` is whether the cost rows add up
    to OpenAI's total without grouping; None if that total is unknown.
    """

    usage_date: dt.date
    sync_window_id: int
    grouping: str
    provisional: bool
    reconciled: bool | None


class DayAllocation(NamedTuple):
    """The allocated cost rows of one day, and their sums in US dollars.

    The sums add absolute amounts, because a credit would otherwise cancel out an equally large cost.
    """

    sync_window_id: int
    shares: list[AllocatedCost]
    gross_usd: Decimal
    to_users_usd: Decimal
    to_keys_usd: Decimal
    unsplit_line_items: list[str | None]
    """The line items whose costs could not be split by the totals of users, because too much of them is unexplained.

    The constant `LARGEST_UNEXPLAINED_SPLIT` is the limit.
    """


class AllocationCoverage(NamedTuple):
    """The allocated spend of a range of days in US dollars, and the parts that are allocated to users and to API keys.

    All fields are None if no allocation is stored for any of the days.
    """

    gross_usd: Decimal | None
    to_users_usd: Decimal | None
    to_keys_usd: Decimal | None


def synced_days(connection: Connection, organization: str, days: Iterable[dt.date]) -> list[SyncedDay]:
    """Return those of `days` for which costs are stored, oldest first."""
    values = {"organization": organization, "days": list(days)}
    return [SyncedDay(*row) for row in connection.execute(statement("allocations/synced_days"), values)]


def costs(connection: Connection, organization: str, days: Iterable[dt.date]) -> dict[dt.date, list[CostRow]]:
    """Return the stored cost rows of the given days, by day. Days without rows are absent."""
    values = {"organization": organization, "days": list(days)}
    found: dict[dt.date, list[CostRow]] = {}
    for day, *row in connection.execute(statement("costs/rows_of_days"), values):
        found.setdefault(day, []).append(CostRow._make(row))
    return found


def user_costs(connection: Connection, organization: str, days: Iterable[dt.date]) -> dict[dt.date, list[UserTotal]]:
    """Return the stored totals of users by line item, by day. A day is absent if no totals are stored for it."""
    values = {"organization": organization, "days": list(days)}
    found: dict[dt.date, list[UserTotal]] = {}
    for day, *row in connection.execute(statement("allocations/user_costs_of_days"), values):
        found.setdefault(day, []).append(UserTotal._make(row))
    return found


def model_names(connection: Connection, organization: str, days: Iterable[dt.date]) -> dict[dt.date, dict[str, str]]:
    """Return the names of models that OpenAI bills under another name than it uses in usage.

    The result has one dictionary for each day, from the name in usage to the billed name.
    """
    values = {"organization": organization, "days": list(days)}
    found: dict[dt.date, dict[str, str]] = {}
    for day, usage_model, billed_model in connection.execute(statement("allocations/model_names_of_days"), values):
        found.setdefault(day, {})[usage_model] = billed_model
    return found


def store_user_costs(
    connection: Connection,
    organization: str,
    days: DayRange,
    found: Mapping[dt.date, Iterable[UserTotal]],
    now: dt.datetime,
) -> None:
    """Replace the stored totals of users for all of `days` in one transaction.

    Raises `ValueRefused` if PostgreSQL cannot store a value. The stored totals then stay unchanged.
    """
    values = {"organization": organization, "first": days.first, "last": days.last}
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(statement("allocations/delete_user_costs"), values)
            with copy_into(connection, "user_costs") as copy:
                for day, rows in found.items():
                    for row in rows:
                        copy.write_row((organization, day, *row))
            # A day without costs of any user is recorded as well. Otherwise the day would look as if the totals of its
            # users had never been fetched.
            notes = [{"organization": organization, "usage_date": day, "now": now} for day in days]
            cursor.executemany(_INSERT_USER_COST_DAY, notes)
    except errors.VALUE_ERRORS as error:
        raise errors.ValueRefused(f"{organization} {days}: {error.diag.message_primary}") from None


def store(connection: Connection, organization: str, shared: Mapping[dt.date, DayAllocation], now: dt.datetime) -> None:
    """Replace the stored allocations of all days in `shared` in one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        # Two concurrent runs that allocate the costs of one organization must wait for each other. Otherwise both runs
        # would insert rows for the same day.
        transaction_lock(connection, organization, "allocation")
        cursor.execute(
            statement("allocations/delete_allocations"), {"organization": organization, "days": list(shared)}
        )
        with copy_into(connection, "allocations") as copy:
            for day, of_day in shared.items():
                for share in of_day.shares:
                    copy.write_row((organization, day, *share))
        cursor.executemany(
            statement("allocations/insert_day"),
            [
                {
                    "organization": organization,
                    "usage_date": day,
                    "sync_window_id": of_day.sync_window_id,
                    "now": now,
                    "gross_usd": of_day.gross_usd,
                    "to_users_usd": of_day.to_users_usd,
                    "to_keys_usd": of_day.to_keys_usd,
                    "unsplit_line_items": of_day.unsplit_line_items or None,
                }
                for day, of_day in shared.items()
            ],
        )


def allocation_coverage(connection: Connection, organization: str, days: DayRange) -> AllocationCoverage:
    """Return the sums of the stored allocations over a range of days, in US dollars."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    row = connection.execute(statement("allocations/coverage"), values).fetchone()
    return AllocationCoverage(*row) if row else AllocationCoverage(None, None, None)
