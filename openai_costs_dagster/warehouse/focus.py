"""Reads FOCUS rows of one month from the view `openai_costs.focus`, and how whole that month is.

All of it is read inside `snapshot`, so that rows, digits and sums are those of one moment.
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
"""The kinds of columns by PostgreSQL's own numbers of types."""
_BEGIN_SNAPSHOT = "set transaction isolation level repeatable read, read only"


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month in UTC, as in ``2026-03``."""

    year: int
    number: int

    @classmethod
    def of(cls, day: dt.date) -> Month:
        """The month that a day lies in."""
        return cls(day.year, day.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Reads ``YYYY-MM``. Raises ValueError."""
        if not _MONTH.fullmatch(text):
            raise ValueError(f"{text!r} is no month as in 2026-03")
        return cls.of(dt.date.fromisoformat(f"{text}-01"))

    @property
    def days(self) -> DayRange:
        """Its first and last day."""
        last = calendar.monthrange(self.year, self.number)[1]
        return DayRange(dt.date(self.year, self.number, 1), dt.date(self.year, self.number, last))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


class Column(NamedTuple):
    """A column of the view; its kind is boolean, text, date, timestamptz, numeric or json (as text)."""

    name: str
    kind: str


class Digits(NamedTuple):
    """The most digits before and after the point that a decimal column holds."""

    before: int
    after: int


@dataclass(frozen=True)
class MonthCompleteness:
    """How whole a month is, over the organizations asked for."""

    stored_days: int
    provisional_days: int
    missing_days: int
    """Days of the month that are not stored, those that are still to come included."""
    left_out: int
    """Rows without an amount, which FOCUS has no place for."""


@dataclass(frozen=True)
class Selection:
    """Which rows: a month of some organizations, by their configured names."""

    month: Month
    organizations: Sequence[str]

    @property
    def parameters(self) -> dict[str, Any]:
        """What the queries are given."""
        days = self.month.days
        return {"organizations": list(self.organizations), "first": days.first, "last": days.last}


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """A read-only transaction that sees one moment."""
    with connection.transaction():
        connection.execute(_BEGIN_SNAPSHOT)
        yield


def days(connection: Connection, wanted: Selection) -> MonthCompleteness:
    """How whole the month is."""
    with connection.cursor(row_factory=class_row(MonthCompleteness)) as cursor:
        found = cursor.execute(statement("report/focus_completeness"), wanted.parameters).fetchone()
    assert found  # noqa: S101  # an aggregate is always a row
    return found


def sums(connection: Connection, wanted: Selection) -> Mapping[str, tuple[Decimal, int]]:
    """The exact sum of what was billed and the number of rows, by currency."""
    rows = connection.execute(statement("report/focus_sums"), wanted.parameters).fetchall()
    return {currency: (billed, count) for currency, billed, count in rows}


def digits(connection: Connection, wanted: Selection) -> Mapping[str, Digits]:
    """How long the numbers of each decimal column are; a column that is null throughout is not there."""
    rows = connection.execute(statement("report/focus_digits"), wanted.parameters).fetchall()
    return {name: Digits(before, after) for name, before, after in rows}


class Rows:
    """The month's rows by day, read from the server some at a time: memory does not grow with their number."""

    def __init__(self, cursor: ServerCursor[TupleRow], at_once: int) -> None:
        self._cursor = cursor
        self._at_once = at_once

    @property
    def columns(self) -> list[Column]:
        """The view's columns in their order."""
        return [Column(one.name, _KINDS[one.type_code]) for one in self._cursor.description or ()]

    def __iter__(self) -> Iterator[list[tuple[Any, ...]]]:
        while batch := self._cursor.fetchmany(self._at_once):
            yield batch


@contextmanager
def rows(connection: Connection, wanted: Selection, *, at_once: int) -> Iterator[Rows]:
    """The month's rows, in batches of `at_once`."""
    with connection.cursor(name=_CURSOR) as cursor:
        set_json_loads(lambda text: text if isinstance(text, str) else text.decode(), cursor)
        cursor.execute(statement("report/focus_rows"), wanted.parameters)
        yield Rows(cursor, at_once)
