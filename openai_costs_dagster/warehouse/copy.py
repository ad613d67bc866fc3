"""Copies rows into a table, also where PostgreSQL's own COPY refuses to: it goes with no policy of rows.

Policies are there only where readers are shown their own organizations alone (docs/security.md).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psycopg

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_NULL = r"\N"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@contextmanager
def copy_into(connection: Connection, table: str) -> Iterator[psycopg.Copy]:
    """COPY into a table by its `copy_<table>.sql`, in a transaction of the caller's."""
    text = statement(f"copy_{table}")
    if not _has_policies(connection, table):
        with connection.cursor() as cursor, cursor.copy(text) as copy:
            yield copy
        return
    connection.execute(statement("copied_begin").replace("/*table*/", table))
    with connection.cursor() as cursor, cursor.copy(text.replace(f"openai_costs.{table}", f"copied_{table}")) as copy:
        yield copy
    connection.execute(statement("copied_end").replace("/*table*/", table))


def _has_policies(connection: Connection, table: str) -> bool:
    row = connection.execute(statement("has_policies"), {"table": f"openai_costs.{table}"}).fetchone()
    return bool(row and row[0])


class CopyText:
    """Writes rows as the lines that ``COPY ... FROM stdin`` reads, and keeps escaped texts of one organization.

    Escaping took most of a load's own time: the same few hundred project, key and line item names stand in every row,
    so each is escaped once.
    """

    def __init__(self) -> None:
        self._escaped = _Escaped({None: _NULL})

    def lines(self, day: dt.date, rows: Iterable[CostRow]) -> list[str]:
        """One line per row: the day and then the row's fields, in their order."""
        text = self._escaped
        return [
            f"{day}\t{text[project]}\t{text[user]}\t{text[api_key]}\t{text[line_item]}\t{text[currency]}\t{text[unit]}"
            f"\t{_NULL if amount is None else amount}\t{_NULL if quantity is None else quantity}\n"
            for project, user, api_key, line_item, currency, unit, amount, quantity in rows
        ]


class _Escaped(dict[str | None, str]):
    def __missing__(self, value: str | None) -> str:
        text = self[value] = _NULL if value is None else value.translate(_ESCAPES)
        return text
