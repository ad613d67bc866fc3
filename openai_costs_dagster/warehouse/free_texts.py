"""Columns with messages and other free text, which may contain names of people, in all tables including Dagster's."""

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
"""Pairs of table and column that contain free text.

All other text columns of `schema.py` hold identifiers or fixed words.
"""

_DAGSTER = "openai_costs_dagster"
_TYPES = {"facts": "jsonb"}


class TextColumn(NamedTuple):
    """A column with text."""

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
        """Yield the row id (`ctid`) and the text of each row that contains one of the words, ignoring case."""
        query = sql.SQL(
            # Tables of Dagster have different primary keys, and `ctid` identifies a row in all of them until the row is
            # updated. The lock prevents such an update.
            "select ctid::text, {column}::text from {table} where {column}::text ilike any (%(patterns)s) {lock}"
        ).format(lock=sql.SQL("for update" if lock else ""), **self._names)
        # PostgreSQL preselects the texts, because the search for names and addresses in Python is slow.
        patterns = [f"%{_literal(word)}%" for word in words]
        yield from connection.execute(query, {"patterns": patterns}).fetchall()

    def replace(self, connection: Connection, row: str, text: str) -> None:
        """Update the text of a locked row."""
        query = sql.SQL("update {table} set {column} = %(text)s::{type} where ctid = %(row)s::tid").format(
            **self._names
        )
        connection.execute(query, {"text": text, "row": row})


def edit(connection: Connection, words: Iterable[str], edited: Callable[[str], str]) -> int:
    """Apply `edited` to all texts that contain one of the words. Returns the number of changed texts."""
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
    """Return the columns in which a text contains one of the words and `is_found` is true for the text."""
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
    """Escape a word for LIKE."""
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
