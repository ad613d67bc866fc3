"""Stores whole days: rows are copied into a staging table, then one transaction replaces the window's days.

The transaction also writes what changed in settled days (revisions), the days' own bytes and the reading itself,
and is rolled back unless the stored rows and sums are those that were read.
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

_ROWS_PER_COPY = 20_000  # bounds memory: a window's rows are never held at once
COSTS = "costs"
"""The source of raw buckets of costs."""
_COMPRESSION = 1  # of zlib's levels; higher ones cost more than the bytes they save are worth here
_CLEAR_STAGING = "truncate staged_rows, staged_buckets"
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
    """A day as it is stored now; the amount in US dollars."""

    usage_date: dt.date
    provisional: bool
    grouping: str
    row_count: int
    amount_usd: Decimal
    is_billed: bool
    """Whether it cost anything, in whatever currency."""


@dataclass(frozen=True)
class StoredDay:
    """What is to be noted of a day beside its rows; `totals` by currency are what must be found after storing."""

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
    """One chain of one query, read to its end."""

    organization: str
    days: DayRange
    grouping: Grouping
    requests: int
    started_at: dt.datetime
    trigger: Trigger
    run_id: str | None = None


class Staging:
    """Takes a window's days one by one on the connection of the organization's only reader."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._text = CopyText()
        self._lines: list[str] = []
        self._buckets: list[tuple[Any, ...]] = []
        self._holds_rows = False
        connection.execute(statement("costs/create_staging"))

    def clear(self) -> None:
        """Forgets all that was staged: the chain broke."""
        self._lines.clear()
        self._buckets.clear()
        if self._holds_rows:
            self._connection.execute(_CLEAR_STAGING)
            self._holds_rows = False

    def forget(self, days: DayRange) -> None:
        """Forgets some staged days, which are read once more."""
        self._flush()
        self._connection.execute(_DELETE_STAGED_DAYS, {"first": days.first, "last": days.last})

    def add(self, day: dt.date, rows: Iterable[CostRow], raw: bytes) -> None:
        """Stages one day: its rows, added up and normalised, and the bytes it came in."""
        self._lines += self._text.lines(day, rows)
        self._buckets.append((day, hashlib.sha256(raw).digest(), zlib.compress(raw, _COMPRESSION)))
        if len(self._lines) >= _ROWS_PER_COPY:
            self._flush()

    def commit(self, reading: SyncWindow, days: Iterable[StoredDay], *, now: dt.datetime) -> None:
        """Replaces the reading's days in one transaction.

        Raises LoadMismatch, with nothing changed, where the stored rows or sums are not those of `days`.
        """
        self._flush()
        days = list(days)
        values = {
            "organization": reading.organization,
            "source": COSTS,
            "first": reading.days.first,
            "last": reading.days.last,
            "grouping": grouping_name(reading.grouping),
            "requests": reading.requests,
            "started_at": reading.started_at,
            "trigger": reading.trigger,
            "run_id": reading.run_id,
            "now": now,
        }
        try:
            with self._connection.transaction():
                self._connection.execute(statement("costs/insert_revisions"), values)
                self._connection.execute(_DELETE_ROWS, values)
                inserted = self._connection.execute(statement("costs/insert_rows"), values).rowcount
                self._verify(reading, days, inserted)
                self._connection.execute(statement("costs/delete_provisional_buckets"), values)
                self._note(values, days)
        except errors.VALUE_ERRORS as error:
            raise errors.ValueRefused(f"{reading.organization} {reading.days}: {error.diag.message_primary}") from None

    def _flush(self) -> None:
        self._holds_rows = True
        try:
            self._copy()
        except errors.VALUE_ERRORS as error:
            raise errors.ValueRefused(f"a value that PostgreSQL cannot hold: {error.diag.message_primary}") from None
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

    def _verify(self, reading: SyncWindow, days: list[StoredDay], inserted: int) -> None:
        expected: dict[tuple[dt.date, str | None], Decimal] = {
            (day.day, currency): total for day in days for currency, total in day.totals.items()
        }
        counts = {day.day: day.row_count for day in days}
        found = self._connection.execute(
            statement("costs/stored_sums"),
            {"organization": reading.organization, "first": reading.days.first, "last": reading.days.last},
        ).fetchall()
        for day, currency, row_count, total in found:
            counts[day] = counts.get(day, 0) - row_count
            if total is not None and total != expected.pop((day, currency), None):
                raise errors.LoadMismatch(
                    f"{reading.organization} {day}: stored {total} {currency} is not what was read"
                )
        if inserted != sum(day.row_count for day in days):
            raise errors.LoadMismatch(f"{reading.organization} {reading.days}: {inserted} rows are not what was read")
        wrong = [str(day) for day, rest in counts.items() if rest] + [str(day) for day, _ in expected]
        if wrong or sorted(counts) != list(reading.days):
            raise errors.LoadMismatch(f"{reading.organization}: rows read and rows stored differ on {', '.join(wrong)}")

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
    """The days of a range that are stored already."""
    with connection.cursor(row_factory=class_row(ExistingDay)) as cursor:
        found = cursor.execute(
            statement("costs/existing_days"), {"organization": organization, "first": days.first, "last": days.last}
        ).fetchall()
    return {day.usage_date: day for day in found}
