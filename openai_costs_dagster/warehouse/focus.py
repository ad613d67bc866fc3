"""Queries of the FOCUS export: rows, sums and completeness of one month, from the view `openai_costs.focus`.

All queries of an export run inside `snapshot`, so that rows, digits and sums are consistent.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import ServerCursor
from psycopg.rows import TupleRow, class_row
from psycopg.types.json import set_json_loads

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_CURSOR = "openai_costs_focus"
_KINDS = {16: "boolean", 25: "text", 1082: "date", 1184: "timestamptz", 1700: "numeric", 3802: "json"}
"""The kinds of columns by the OIDs of PostgreSQL's types."""
_BEGIN_SNAPSHOT = "set transaction isolation level repeatable read, read only"


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month in UTC, as in ``2026-03``."""

    year: int
    number: int

    @classmethod
    def of(cls, day: dt.date) -> Month:
        """Return the month of a day."""
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Return the month of a text in the form ``YYYY-MM``. Raises `ValueError` for other texts."""
        if not _MONTH.fullmatch(text):
            raise ValueError(f"{text!r} is no month as in 2026-03")
        return cls.of(dt.date.fromisoformat(f"{text}-01"))

    @property
    def days(self) -> DayRange:
        """The first and the last day of the month."""
        last = calendar.monthrange(self.year, self.number)[1]
        return DayRange(dt.date(self.year, self.number, 1), dt.date(self.year, self.number, last))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


class Column(NamedTuple):
    """A column of the view. `kind` is boolean, text, date, timestamptz, numeric, or json (read as text)."""

    name: str
    kind: str


class Digits(NamedTuple):
    """The maximum number of digits before and after the decimal point in a column."""

    before: int
    after: int


@dataclass(frozen=True)
class MonthCompleteness:
    """The completeness of a month over the selected organizations."""

    stored_days: int
    provisional_days: int
    missing_days: int
    """Days of the month that are not stored, including future days."""
    left_out: int
    """Rows without an amount, which the FOCUS format cannot represent."""


@dataclass(frozen=True)
class Selection:
    """The exported rows: one month of some organizations, by their configured names."""

    month: Month
    organizations: Sequence[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """The SQL parameters of every query of the export: organizations, first day and last day."""
        days = self.month.days
        return {"organizations": list(self.organizations), "first": days.first, "last": days.last}


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Run a read-only transaction in which all queries see the same state of the database."""
    with connection.transaction():
        connection.execute(_BEGIN_SNAPSHOT)
        yield


def days(connection: Connection, wanted: Selection) -> MonthCompleteness:
    """Return the completeness of the month."""
    with connection.cursor(row_factory=class_row(MonthCompleteness)) as cursor:
        found = cursor.execute(statement("report/focus_completeness"), wanted.parameters).fetchone()
    assert found  # noqa: S101  # An aggregate without GROUP BY always returns a row.
    return found


def sums(connection: Connection, wanted: Selection) -> Mapping[str, tuple[Decimal, int]]:
    """Return the exact billed sum and the number of rows, by currency."""
    rows = connection.execute(statement("report/focus_sums"), wanted.parameters).fetchall()
    return {currency: (billed, count) for currency, billed, count in rows}


def digits(connection: Connection, wanted: Selection) -> Mapping[str, Digits]:
    """Return the number of digits of each decimal column. Columns with only null values are absent."""
    rows = connection.execute(statement("report/focus_digits"), wanted.parameters).fetchall()
    return {name: Digits(before, after) for name, before, after in rows}


class Rows:
    """The rows of the month by day, fetched in batches by a server-side cursor to bound the memory."""

    def __init__(self, cursor: ServerCursor[TupleRow], at_once: int) -> None:
        self._cursor = cursor
        self._at_once = at_once

    @property
    def columns(self) -> list[Column]:
        """The columns of the view in their order."""
        return [Column(column.name, _KINDS[column.type_code]) for column in self._cursor.description or ()]

    def __iter__(self) -> Iterator[list[tuple[Any, ...]]]:
        while batch := self._cursor.fetchmany(self._at_once):
            yield batch


@contextmanager
def rows(connection: Connection, wanted: Selection, *, at_once: int) -> Iterator[Rows]:
    """Open a cursor on the rows of the month, which yields batches of `at_once` rows."""
    with connection.cursor(name=_CURSOR) as cursor:
        # JSON is exported as the text of PostgreSQL, because parsing and writing it again could change numbers.
        set_json_loads(lambda text: text if isinstance(text, str) else text.decode(), cursor)
        cursor.execute(statement("report/focus_rows"), wanted.parameters)
        yield Rows(cursor, at_once)
