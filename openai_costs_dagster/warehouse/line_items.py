"""What readings taught beside money: refused groupings, project names, what each line item is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.cost_records import LONGEST_KEY
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


class StoredRefusal(NamedTuple):
    """Days, both ends included and null without end, for which a grouping was refused at `seen_at`."""

    grouping: str
    first_day: dt.date | None
    last_day: dt.date | None
    seen_at: dt.datetime


class Classification(NamedTuple):
    """What a line item is, in the columns of `daily_costs`."""

    service: str
    category: str
    subcategory: str | None
    model: str | None
    surface: str | None
    modality: str | None
    long_context: bool


Classify = Callable[[str], Sequence[Any]]
"""Reads a line item; gives the fields of a `Classification`."""


def refusals(connection: Connection, organization: str) -> list[StoredRefusal]:
    """The groupings that an organization was refused."""
    with connection.cursor(row_factory=class_row(StoredRefusal)) as cursor:
        return cursor.execute(statement("refusals"), {"organization": organization}).fetchall()


def keep_refusals(
    connection: Connection, organization: str, groupings: Iterable[str], known: Iterable[StoredRefusal]
) -> None:
    """Replaces what is remembered of an organization's refusals of some groupings."""
    values = {"organization": organization, "groupings": list(groupings)}
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(statement("forget_refusals"), values)
        cursor.executemany(
            statement("note_refusal"),
            [{"organization": organization, **refusal._asdict()} for refusal in known],
        )


def name_projects(connection: Connection, organization: str, names: Mapping[str, str], seen_at: dt.datetime) -> None:
    """Keeps the newest name of each project; the directory has those of longer ids."""
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("name_project"),
            [
                {
                    "organization": organization,
                    "project_id": project_id,
                    "project_name": name,
                    "seen_at": seen_at,
                }
                for project_id, name in names.items()
                if len(project_id) <= LONGEST_KEY
            ],
        )


def classify_new(connection: Connection, labels: Iterable[str], classify: Classify, rules_version: int) -> None:
    """Classifies the line items that were never met before; a longer one than `LONGEST_KEY` is its own class."""
    _store(connection, sorted(labels), classify, rules_version)


def reclassify(connection: Connection, classify: Classify, rules_version: int) -> int:
    """Classifies all history anew where the rules have improved since; returns how many line items that were."""
    rows = connection.execute(statement("outdated_line_items"), {"rules_version": rules_version}).fetchall()
    _store(connection, [row[0] for row in rows], classify, rules_version)
    return len(rows)


def _store(connection: Connection, labels: Sequence[str], classify: Classify, rules_version: int) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            statement("classify_line_item"),
            [
                {
                    "line_item": label,
                    "rules_version": rules_version,
                    **Classification(*classify(label))._asdict(),
                }
                for label in labels
                if len(label) <= LONGEST_KEY
            ],
        )
