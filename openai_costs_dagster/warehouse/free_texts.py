"""Searches and edits the columns with free text, such as error messages, which may contain names of people.

The columns belong to the tables of this package and to Dagster's own tables. `openai-costs forget-user` removes the
names of a user from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from psycopg import sql

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.schema import SCHEMA
from openai_costs_dagster.warehouse.statements import statement

COLUMNS = (
    ("missing_endpoints", "message"),
    ("anomaly_feedback", "reason"),
    ("anomaly_findings", "explanation"),
    ("dead_runs", "reason"),
    ("heartbeats", "last_error"),
    ("messages", "last_error"),
    ("organizations", "display_name"),
    ("organizations", "last_error"),
    ("outbox", "facts"),
    ("outbox", "message"),
    ("outbox", "title"),
    ("projects", "project_name"),
    ("sensor_ticks", "last_error"),
    ("open_failures", "message"),
)
"""The columns of this package's tables that contain free text, as pairs of table and column.

All other text columns in `schema.py` contain identifiers or fixed words, which cannot contain the name of a person.
"""

_DAGSTER = "openai_costs_dagster"
_TYPES = {"facts": "jsonb"}


class TextColumn(NamedTuple):
    """A column of a database table that contains free text."""

    schema: str
    table: str
    column: str

    @property
    def _names(self) -> dict[str, sql.Composable]:
        return {
            "table": sql.Identifier(self.schema, self.table),
            "column": sql.Identifier(self.column),
            "type": sql.SQL(_TYPES.get(self.column, "text") if self.schema == SCHEMA else "text"),
        }

    def texts(self, connection: Connection, words: Iterable[str], *, lock: bool) -> Iterator[tuple[str, str]]:
        """Yield the row id (`ctid`) and the text of each row whose text contains one of `words`, ignoring case.

        With `lock`, the rows are locked until the transaction ends, so that the row ids stay valid.
        """
        query = sql.SQL(
            # Dagster's tables have different primary keys. PostgreSQL's `ctid` identifies a row in any table, but it
            # changes when the row is updated. The lock prevents an update by another transaction.
            "select ctid::text, {column}::text from {table} where {column}::text ilike any (%(patterns)s) {lock}"
        ).format(lock=sql.SQL("for update" if lock else ""), **self._names)
        # PostgreSQL selects the texts that contain a word, because loading and searching all texts in Python is slow.
        patterns = [f"%{_literal(word)}%" for word in words]
        yield from connection.execute(query, {"patterns": patterns}).fetchall()

    def replace(self, connection: Connection, row: str, text: str) -> None:
        """Replace the text in the row with the row id `row`. The row must have been locked by `texts`."""
        query = sql.SQL("update {table} set {column} = %(text)s::{type} where ctid = %(row)s::tid").format(
            **self._names
        )
        connection.execute(query, {"text": text, "row": row})


def edit(connection: Connection, words: Iterable[str], edited: Callable[[str], str]) -> int:
    """Replace each free text that contains one of `words` by the result of `edited`, in one transaction.

    Returns the number of texts that have changed.
    """
    words, changed = list(words), 0
    with connection.transaction():
        for column in _text_columns(connection):
            for row, text in column.texts(connection, words, lock=True):
                rest = edited(text)
                if rest != text:
                    column.replace(connection, row, rest)
                    changed += 1
    return changed


def columns_with(connection: Connection, words: Iterable[str], is_found: Callable[[str], bool]) -> list[str]:
    """Return the names of the columns with at least one text that contains one of `words` and satisfies `is_found`.

    A name has the form `schema.table.column`.
    """
    words = list(words)
    return [
        f"{column.schema}.{column.table}.{column.column}"
        for column in _text_columns(connection)
        if any(is_found(text) for _, text in column.texts(connection, words, lock=False))
    ]


def _text_columns(connection: Connection) -> list[TextColumn]:
    ours = [TextColumn(SCHEMA, table, column) for table, column in COLUMNS]
    theirs = connection.execute(statement("dagster/text_columns")).fetchall()
    return ours + [TextColumn(_DAGSTER, table, column) for table, column in theirs]


def _literal(word: str) -> str:
    r"""Escape the characters `\`, `%` and `_` of a word, which have a special meaning in a LIKE pattern."""
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
