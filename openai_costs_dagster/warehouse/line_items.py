"""Stores the classification (service, category, model and so on) of each line item, once for all organizations."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from openai_costs_dagster.cost_records import MAX_KEY_LENGTH
from openai_costs_dagster.records import LineItem
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

Classify = Callable[[str], LineItem]
"""A function that returns the classification of a line item for its label."""
_OUTDATED = "select line_item from openai_costs.line_items where rules_version < %(rules_version)s"


def classify_new(connection: Connection, labels: Iterable[str], classify: Classify, rules_version: int) -> None:
    """Classify line items and store the classifications.

    Skips labels longer than `MAX_KEY_LENGTH`, because PostgreSQL limits the size of an index entry.
    """
    _store(connection, labels, classify, rules_version)


def find(connection: Connection, labels: Iterable[str]) -> dict[str, LineItem]:
    """Return the stored classifications of the given line items, by label. Labels that are not stored are absent."""
    rows = connection.execute(statement("costs/find_line_items"), {"labels": list(labels)})
    return {label: LineItem(*columns) for label, *columns in rows}


def reclassify(connection: Connection, classify: Classify, rules_version: int) -> int:
    """Classify all stored line items again whose classification is older than `rules_version`.

    Returns the number of these line items.
    """
    rows = connection.execute(_OUTDATED, {"rules_version": rules_version}).fetchall()
    _store(connection, [row[0] for row in rows], classify, rules_version)
    return len(rows)


def _store(connection: Connection, labels: Iterable[str], classify: Classify, rules_version: int) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            statement("costs/upsert_line_item"),
            [
                {
                    "line_item": label,
                    "rules_version": rules_version,
                    **classify(label)._asdict(),
                }
                # Two processes that lock the same rows in different orders can end in a deadlock, so all processes
                # store the labels in the same order. PostgreSQL's order depends on the database's collation, so Python
                # sorts.
                for label in sorted(labels)
                # The label is the primary key of the table `line_items`, and PostgreSQL limits the size of an index
                # entry. A longer label would fail the whole transaction
                # (docs/decisions/0025-invalid-characters-and-long-texts.md).
                if len(label) <= MAX_KEY_LENGTH
            ],
        )
