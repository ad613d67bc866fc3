"""Groupings that the API refused for some days, stored so that the next run does not request them again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_DELETE = """
delete from openai_costs.refused_groupings
where organization = %(organization)s and grouping = any(%(groupings)s::text[])
"""
_INSERT = """
insert into openai_costs.refused_groupings (organization, grouping, first_day, last_day, observed_at)
values (%(organization)s, %(grouping)s, %(first_day)s, %(last_day)s, %(observed_at)s)
"""


class StoredRefusal(NamedTuple):
    """A range of days for which OpenAI refused a grouping. Both ends are included; None means no limit."""

    grouping: str
    first_day: dt.date | None
    last_day: dt.date | None
    observed_at: dt.datetime


def stored_refusals(connection: Connection, organization: str) -> list[StoredRefusal]:
    """Return the refused groupings of an organization."""
    with connection.cursor(row_factory=class_row(StoredRefusal)) as cursor:
        return cursor.execute(statement("costs/refused_groupings"), {"organization": organization}).fetchall()


def replace_refusals(
    connection: Connection, organization: str, groupings: Iterable[str], known: Iterable[StoredRefusal]
) -> None:
    """Replace the stored refusals of some groupings of an organization."""
    values = {"organization": organization, "groupings": list(groupings)}
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_DELETE, values)
        cursor.executemany(
            _INSERT,
            [{"organization": organization, **refusal._asdict()} for refusal in known],
        )
