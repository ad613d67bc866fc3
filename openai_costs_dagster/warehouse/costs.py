"""Stores costs by whole days: rows are copied into a temporary table, and then one transaction replaces the days.

The transaction also stores the changes of amounts of settled days (revisions), the raw responses, and a row of the
table `sync_windows`. If the stored rows or sums differ from the fetched rows and sums, the transaction is rolled back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg.rows import class_row

from openai_costs_dagster.cost_records import US_DOLLARS, CostRow, Grouping, grouping_name
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.records import Trigger
from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.copy import COPY_STAGED_BUCKETS, CopyText
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_ROWS_PER_COPY = 20_000  # A range of days may have millions of rows, so rows are copied in batches to limit memory use.
COSTS = "costs"
"""The value of the column `raw_buckets.source` in rows with responses of the costs endpoint."""
_COMPRESSION = 1  # The fastest level of zlib. Higher levels take more time than the saved space is worth.
_CLEAR_STAGING = "truncate staged_rows, staged_buckets"
# PostgreSQL does not accept two commands in one statement with parameters. The first DELETE is therefore part of a
# common table expression of the second DELETE.
_DELETE_STAGED_DAYS = """
with forgotten as (delete from staged_buckets where usage_date between %(first)s and %(last)s)
delete from staged_rows where usage_date between %(first)s and %(last)s
"""
_DELETE_ROWS = """
delete from openai_costs.cost_rows
where organization = %(organization)s and usage_date between %(first)s and %(last)s
"""


@dataclass(frozen=True)
class ExistingDay:
    """A UTC day whose costs were stored by an earlier run. `amount_usd` is the day's total in US dollars."""

    usage_date: dt.date
    provisional: bool
    grouping: str
    row_count: int
    amount_usd: Decimal
    is_billed: bool
    """Whether the stored day has an amount other than zero in any currency."""


@dataclass(frozen=True)
class StoredDay:
    """The expected totals of a day that is about to be stored.

    `totals` holds one sum for each currency. The transaction is rolled back if the sums of the stored rows differ.
    """

    day: dt.date
    provisional: bool
    row_count: int
    received_count: int
    absent_amounts: int
    totals: Mapping[str | None, Decimal]
    reconciled: bool | None
    reconcile_difference: Decimal | None


@dataclass(frozen=True)
class SyncWindow:
    """A range of days whose costs were fetched completely by one query with one grouping."""

    organization: str
    days: DayRange
    grouping: Grouping
    requests: int
    started_at: dt.datetime
    trigger: Trigger
    run_id: str | None = None


class Staging:
    """Collects the fetched rows of a range of days in a temporary table, and then stores all days in one transaction.

    The connection must hold the organization's lock, so that no other process stores the same days.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._text = CopyText()
        self._lines: list[str] = []
        self._buckets: list[tuple[Any, ...]] = []
        self._holds_rows = False
        # Outside of transactions, a locked connection is read-only. PostgreSQL then refuses CREATE and TRUNCATE even
        # for temporary tables, but accepts INSERT, DELETE and COPY for temporary tables.
        with connection.transaction():
            connection.execute(statement("costs/create_staging"))

    def clear(self) -> None:
        """Discard all days that were added since the last commit, for example after a failed request."""
        self._lines.clear()
        self._buckets.clear()
        if self._holds_rows:
            with self._connection.transaction():
                self._connection.execute(_CLEAR_STAGING)
            self._holds_rows = False

    def forget(self, days: DayRange) -> None:
        """Discard the rows and raw responses of `days`, because these days are fetched again."""
        # The deletion reaches only rows in the temporary tables, so rows that are still in memory are copied there
        # first.
        self._flush()
        self._connection.execute(_DELETE_STAGED_DAYS, {"first": days.first, "last": days.last})

    def add(self, day: dt.date, rows: Iterable[CostRow], raw: bytes) -> None:
        """Add one fetched day. `rows` must be summed by key and normalized. `raw` is the response as OpenAI sent it."""
        self._lines += self._text.lines(day, rows)
        self._buckets.append((day, hashlib.sha256(raw).digest(), zlib.compress(raw, _COMPRESSION)))
        if len(self._lines) >= _ROWS_PER_COPY:
            self._flush()

    def commit(self, window: SyncWindow, days: Iterable[StoredDay], *, now: dt.datetime) -> None:
        """Replace all stored days of `window` by the days that were added. Runs as one transaction.

        Raises `LoadMismatch` if the stored rows or sums differ from the expected numbers in `days`, and `ValueRefused`
        if PostgreSQL cannot store a value. In both cases, the tables stay unchanged.
        """
        self._flush()
        days = list(days)
        values = {
            "organization": window.organization,
            "source": COSTS,
            "first": window.days.first,
            "last": window.days.last,
            "grouping": grouping_name(window.grouping),
            "requests": window.requests,
            "started_at": window.started_at,
            "trigger": window.trigger,
            "run_id": window.run_id,
            "now": now,
        }
        try:
            with self._connection.transaction():
                # Revisions record how the new rows differ from the stored rows, so they are inserted before the stored
                # rows are deleted.
                self._connection.execute(statement("costs/insert_revisions"), values)
                self._connection.execute(_DELETE_ROWS, values)
                inserted = self._connection.execute(statement("costs/insert_rows"), values).rowcount
                self._verify(window, days, inserted)
                self._connection.execute(statement("costs/delete_provisional_buckets"), values)
                self._note(values, days)
        except errors.VALUE_ERRORS as error:
            raise errors.ValueRefused(f"{window.organization} {window.days}: {error.diag.message_primary}") from None

    def _flush(self) -> None:
        self._holds_rows = True
        try:
            self._copy()
        except errors.VALUE_ERRORS as error:
            raise errors.ValueRefused(f"PostgreSQL cannot store a value: {error.diag.message_primary}") from None
        finally:
            self._lines.clear()
            self._buckets.clear()

    def _copy(self) -> None:
        with self._connection.cursor() as cursor:
            if self._lines:
                with cursor.copy(statement("costs/copy_staged_rows")) as copy:
                    copy.write("".join(self._lines))
            if self._buckets:
                with cursor.copy(COPY_STAGED_BUCKETS) as copy:
                    for bucket in self._buckets:
                        copy.write_row(bucket)

    def _verify(self, window: SyncWindow, days: list[StoredDay], inserted: int) -> None:
        expected: dict[tuple[dt.date, str | None], Decimal] = {
            (day.day, currency): total for day in days for currency, total in day.totals.items()
        }
        counts = {day.day: day.row_count for day in days}
        found = self._connection.execute(
            statement("costs/stored_sums"),
            {"organization": window.organization, "first": window.days.first, "last": window.days.last},
        ).fetchall()
        for day, currency, row_count, total in found:
            counts[day] = counts.get(day, 0) - row_count
            # SQL's `sum` returns null if every amount of the currency is null. Such a currency has no total to compare.
            if total is not None and total != expected.pop((day, currency), None):
                raise errors.LoadMismatch(
                    f"{window.organization} {day}: the stored total of {total} {currency} differs from the fetched one"
                )
        if inserted != sum(day.row_count for day in days):
            raise errors.LoadMismatch(
                f"{window.organization} {window.days}: {inserted} stored rows differ from the fetched ones"
            )
        wrong = [str(day) for day, rest in counts.items() if rest] + [str(day) for day, _ in expected]
        if wrong or sorted(counts) != list(window.days):
            raise errors.LoadMismatch(f"{window.organization}: fetched and stored rows differ on {', '.join(wrong)}")

    def _note(self, values: dict[str, Any], days: list[StoredDay]) -> None:
        row = self._connection.execute(statement("costs/insert_sync_window"), values).fetchone()
        values = {**values, "sync_window_id": row[0] if row else None}
        provisional = [day.day for day in days if day.provisional]
        self._connection.execute(statement("costs/insert_raw_buckets"), {**values, "provisional": provisional})
        with self._connection.cursor() as cursor:
            cursor.executemany(
                statement("costs/upsert_day"),
                [
                    {
                        **values,
                        "usage_date": day.day,
                        "provisional": day.provisional,
                        "row_count": day.row_count,
                        "received_count": day.received_count,
                        "absent_amounts": day.absent_amounts,
                        "amount_usd": day.totals.get(US_DOLLARS, Decimal(0)),
                        "reconciled": day.reconciled,
                        "reconcile_difference": day.reconcile_difference,
                    }
                    for day in days
                ],
            )


def existing_days(connection: Connection, organization: str, days: DayRange) -> dict[dt.date, ExistingDay]:
    """Return the days of a range whose costs are stored, by day. Days without stored costs are absent."""
    with connection.cursor(row_factory=class_row(ExistingDay)) as cursor:
        found = cursor.execute(
            statement("costs/existing_days"), {"organization": organization, "first": days.first, "last": days.last}
        ).fetchall()
    return {day.usage_date: day for day in found}
