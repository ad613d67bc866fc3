"""Queries of the FOCUS export (a standard format of cloud bills): rows, sums and completeness of one month.

The rows come from the view `openai_costs.focus`. All queries of an export run inside `snapshot`, because rows and sums
would not match if a synchronization stored costs between two queries.
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
"""The name of each column type in the view `openai_costs.focus`, by PostgreSQL's type OID."""
_BEGIN_SNAPSHOT = "set transaction isolation level repeatable read, read only"


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month in UTC. `str` returns a text such as ``2026-03``."""

    year: int
    number: int

    @classmethod
    def of(cls, day: dt.date) -> Month:
        """Return the calendar month that contains a UTC day."""
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Parse a month from a text of the form ``YYYY-MM``. Raises `ValueError` for any other text."""
        if not _MONTH.fullmatch(text):
            raise ValueError(f"{text!r} is no month as in 2026-03")
        return cls.of(dt.date.fromisoformat(f"{text}-01"))

    @property
    def days(self) -> DayRange:
        """The range from the first to the last day of the month."""
        last = calendar.monthrange(self.year, self.number)[1]
        return DayRange(dt.date(self.year, self.number, 1), dt.date(self.year, self.number, last))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


class Column(NamedTuple):
    """A column of the view `openai_costs.focus`.

    `kind` is the type of its values: boolean, text, date, timestamptz, numeric or json. JSON values are read as text.
    """

    name: str
    kind: str


class Digits(NamedTuple):
    """The largest number of digits before and after the decimal point among all exported values of a column."""

    before: int
    after: int


@dataclass(frozen=True)
class MonthCompleteness:
    """The numbers of stored, provisional and missing days of a month, summed over the exported organizations."""

    stored_days: int
    provisional_days: int
    missing_days: int
    """The number of days of the month for which no costs are stored, including future days."""
    left_out: int
    """The number of cost rows that are not exported, because they have no amount and FOCUS requires an amount."""


@dataclass(frozen=True)
class Selection:
    """The month and the configured names of the organizations whose costs are exported."""

    month: Month
    organizations: Sequence[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """The SQL parameters of the export's queries: `organizations`, and `first` and `last` day of the month."""
        days = self.month.days
        return {"organizations": list(self.organizations), "first": days.first, "last": days.last}


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Run the `with` block in a read-only transaction in which all queries see the same state of the database."""
    with connection.transaction():
        connection.execute(_BEGIN_SNAPSHOT)
        yield


def days(connection: Connection, wanted: Selection) -> MonthCompleteness:
    """Return how many days of the selected month are stored, provisional and missing."""
    with connection.cursor(row_factory=class_row(MonthCompleteness)) as cursor:
        found = cursor.execute(statement("report/focus_completeness"), wanted.parameters).fetchone()
    assert found  # noqa: S101  # An aggregate without GROUP BY always returns a row.
    return found


def sums(connection: Connection, wanted: Selection) -> Mapping[str, tuple[Decimal, int]]:
    """Return the exact sum of the billed costs and the number of exported rows, by currency."""
    rows = connection.execute(statement("report/focus_sums"), wanted.parameters).fetchall()
    return {currency: (billed, count) for currency, billed, count in rows}


def digits(connection: Connection, wanted: Selection) -> Mapping[str, Digits]:
    """Return the largest number of digits in each numeric column, by column name. Skips columns with only nulls."""
    rows = connection.execute(statement("report/focus_digits"), wanted.parameters).fetchall()
    return {name: Digits(before, after) for name, before, after in rows}


class Rows:
    """The exported rows in the order of their days. Iteration yields batches of rows.

    A server-side cursor fetches one batch at a time, because all rows of a month may not fit into memory.
    """

    def __init__(self, cursor: ServerCursor[TupleRow], at_once: int) -> None:
        self._cursor = cursor
        self._at_once = at_once

    @property
    def columns(self) -> list[Column]:
        """The name and type of each exported column, in the order of the values in a row."""
        return [Column(column.name, _KINDS[column.type_code]) for column in self._cursor.description or ()]

    def __iter__(self) -> Iterator[list[tuple[Any, ...]]]:
        while batch := self._cursor.fetchmany(self._at_once):
            yield batch


@contextmanager
def rows(connection: Connection, wanted: Selection, *, at_once: int) -> Iterator[Rows]:
    """Query the rows of the selected month, and yield an iterable of batches of `at_once` rows."""
    with connection.cursor(name=_CURSOR) as cursor:
        # JSON values are exported as the text that PostgreSQL returns, because parsing the JSON and writing it again
        # could change its numbers.
        set_json_loads(lambda text: text if isinstance(text, str) else text.decode(), cursor)
        cursor.execute(statement("report/focus_rows"), wanted.parameters)
        yield Rows(cursor, at_once)
