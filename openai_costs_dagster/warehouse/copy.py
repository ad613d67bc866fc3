"""Loads rows into tables with PostgreSQL's command COPY, which is faster than INSERT.

Also loads rows into tables with row level security, for which PostgreSQL refuses COPY. The tables have row level
security if database roles may see only the rows of some organizations (docs/security.md).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.schema import SCHEMA

COPY_STAGED_BUCKETS = "copy staged_buckets (usage_date, digest, body) from stdin"
"""The COPY statement that loads raw responses into the temporary table `staged_buckets`.

`costs/create_staging.sql` and `usage/create_staging.sql` create this table.
"""

_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "allocations": (
        *("organization", "usage_date", "project_id", "user_id", "api_key_id", "line_item"),
        *("currency", "amount", "method"),
    ),
    "usage_rows": (
        *("organization", "usage_date", "operation", "project_id", "user_id", "api_key_id", "model"),
        *("groups", "counters"),
    ),
    "user_costs": ("organization", "usage_date", "user_id", "line_item", "currency", "amount"),
}
"""The columns of each table, in the order of the values in a copied row."""

_COPY = sql.SQL("copy {target} ({columns}) from stdin")
_COPY_VIA_TEMP_BEGIN = sql.SQL("create temporary table {temporary} (like {target}) on commit drop")
_COPY_VIA_TEMP_END = sql.SQL("insert into {target} select * from {temporary}; drop table {temporary}")
_HAS_POLICIES = "select row_security_active(%(table)s)"

_NULL = r"\N"
# In the text format of COPY, these characters separate or escape values, so a value must contain them in escaped form.
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@contextmanager
def copy_into(connection: Connection, table: str) -> Iterator[psycopg.Copy]:
    """Yield a psycopg COPY into `table`, one of the tables in `_COLUMNS`. The caller must have begun a transaction."""
    target, temporary = sql.Identifier(SCHEMA, table), sql.Identifier(f"copied_{table}")
    columns = sql.SQL(", ").join(map(sql.Identifier, _COLUMNS[table]))
    if not _has_policies(connection, table):
        with connection.cursor() as cursor, cursor.copy(_COPY.format(target=target, columns=columns)) as copy:
            yield copy
        return
    # PostgreSQL refuses COPY into a table with row level security, so the rows are copied into a temporary table and
    # then inserted into `table`.
    connection.execute(_COPY_VIA_TEMP_BEGIN.format(temporary=temporary, target=target))
    with connection.cursor() as cursor, cursor.copy(_COPY.format(target=temporary, columns=columns)) as copy:
        yield copy
    connection.execute(_COPY_VIA_TEMP_END.format(target=target, temporary=temporary))


def _has_policies(connection: Connection, table: str) -> bool:
    row = connection.execute(_HAS_POLICIES, {"table": f"{SCHEMA}.{table}"}).fetchone()
    return bool(row and row[0])


class CopyText:
    """Formats the cost rows of one organization as the text lines that ``COPY ... FROM stdin`` reads.

    Escaped texts are cached, because escaping each text again took most of the time of loading rows: all rows contain
    the same few hundred ids of projects and API keys and names of line items.
    """

    def __init__(self) -> None:
        self._escaped = _EscapedTexts({None: _NULL})

    def lines(self, day: dt.date, rows: Iterable[CostRow]) -> list[str]:
        """Return one line for each row: the day, followed by the fields of `CostRow` in their order."""
        text = self._escaped
        return [
            f"{day}\t{text[project]}\t{text[user]}\t{text[api_key]}\t{text[line_item]}\t{text[currency]}\t{text[unit]}"
            f"\t{_NULL if amount is None else amount}\t{_NULL if quantity is None else quantity}\n"
            for project, user, api_key, line_item, currency, unit, amount, quantity in rows
        ]


class _EscapedTexts(dict[str | None, str]):
    def __missing__(self, value: str | None) -> str:
        text = self[value] = _NULL if value is None else value.translate(_ESCAPES)
        return text
