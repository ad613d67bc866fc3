"""Classifications of line items, stored once for all organizations."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from openai_costs_dagster.cost_records import MAX_KEY_LENGTH
from openai_costs_dagster.records import LineItem
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

Classify = Callable[[str], LineItem]
"""Classifies a line item by its label."""
_OUTDATED = "select line_item from openai_costs.line_items where rules_version < %(rules_version)s"


def classify_new(connection: Connection, labels: Iterable[str], classify: Classify, rules_version: int) -> None:
    """Classify line items that are not stored yet. Labels longer than `MAX_KEY_LENGTH` are not stored."""
    _store(connection, labels, classify, rules_version)


def find(connection: Connection, labels: Iterable[str]) -> dict[str, LineItem]:
    """Return the stored classifications of line items by label; a label that is not stored is left out."""
    rows = connection.execute(statement("costs/find_line_items"), {"labels": list(labels)})
    return {label: LineItem(*columns) for label, *columns in rows}


def reclassify(connection: Connection, classify: Classify, rules_version: int) -> int:
    """Classify line items again that were classified with older rules. Returns the number of line items."""
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
                # One order for all processes, because different orders of row locks can end in a deadlock. The order
                # of the database depends on its collation, so Python sorts.
                for label in sorted(labels)
                # A longer label is not stored in this table: the label is the table's key, and PostgreSQL limits the
                # size of an index entry (docs/decisions/0025-invalid-characters-and-long-texts.md).
                if len(label) <= MAX_KEY_LENGTH
            ],
        )
