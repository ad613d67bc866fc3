"""The columns that hold sentences and other free text, which may name a person, in our tables and in Dagster's."""

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
"""Table and column. Every other text of `schema.py` is an identifier, or a word from a closed list."""

_DAGSTER = "openai_costs_dagster"
_TYPES = {"facts": "jsonb"}


class Place(NamedTuple):
    """A column that holds text."""

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
        """The texts that hold one of some words in any case, each with the place of its row."""
        query = sql.SQL(
            "select ctid::text, {column}::text from {table} where {column}::text ilike any (%(patterns)s) {lock}"
        ).format(lock=sql.SQL("for update" if lock else ""), **self._names)
        patterns = [f"%{_literal(word)}%" for word in words]
        yield from connection.execute(query, {"patterns": patterns}).fetchall()

    def replace(self, connection: Connection, row: str, text: str) -> None:
        """Writes a text into a row whose place is known and which is locked."""
        query = sql.SQL("update {table} set {column} = %(text)s::{type} where ctid = %(row)s::tid").format(
            **self._names
        )
        connection.execute(query, {"text": text, "row": row})


def edit(connection: Connection, words: Iterable[str], edited: Callable[[str], str]) -> int:
    """Replaces the texts that hold one of some words where `edited` changes them; returns how many those were."""
    words, changed = list(words), 0
    with connection.transaction():
        for place in _places(connection):
            for row, text in place.texts(connection, words, lock=True):
                rest = edited(text)
                if rest != text:
                    place.replace(connection, row, rest)
                    changed += 1
    return changed


def columns_with(connection: Connection, words: Iterable[str], is_found: Callable[[str], bool]) -> list[str]:
    """The columns of which a text holds one of some words and fulfils a condition."""
    words = list(words)
    return [
        f"{place.schema}.{place.table}.{place.column}"
        for place in _places(connection)
        if any(is_found(text) for _, text in place.texts(connection, words, lock=False))
    ]


def _places(connection: Connection) -> list[Place]:
    ours = [Place(SCHEMA, table, column) for table, column in COLUMNS]
    theirs = connection.execute(statement("dagster/text_columns")).fetchall()
    return ours + [Place(_DAGSTER, table, column) for table, column in theirs]


def _literal(word: str) -> str:
    """A word as LIKE takes it."""
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
