"""Groupings that the API refused for some days, stored so that the next run does not request them again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


class StoredRefusal(NamedTuple):
    """Days, both ends included and null without end, for which a grouping was refused at `observed_at`."""

    grouping: str
    first_day: dt.date | None
    last_day: dt.date | None
    observed_at: dt.datetime


def stored_refusals(connection: Connection, organization: str) -> list[StoredRefusal]:
    """The groupings that an organization was refused."""
    with connection.cursor(row_factory=class_row(StoredRefusal)) as cursor:
        return cursor.execute(statement("refusals"), {"organization": organization}).fetchall()


def replace_refusals(
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
