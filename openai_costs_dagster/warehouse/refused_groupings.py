"""Stores the groupings of costs that OpenAI's API refused, so that the next run does not request them again."""

from __future__ import annotations

from collections.abc import Iterable

from openai_costs_dagster.cost_records import Grouping, RefusedGrouping, grouping_name, parse_grouping
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


def stored_refusals(connection: Connection, organization: str) -> list[RefusedGrouping]:
    """Return the groupings that OpenAI refused for an organization, each with the range of refused days."""
    rows = connection.execute(statement("costs/refused_groupings"), {"organization": organization})
    return [RefusedGrouping(parse_grouping(name), first, last, observed) for name, first, last, observed in rows]


def replace_refusals(
    connection: Connection, organization: str, groupings: Iterable[Grouping], known: Iterable[RefusedGrouping]
) -> None:
    """Delete an organization's stored refusals of `groupings`, and store the refusals in `known` instead.

    Refusals of other groupings stay, because another query may have stored them.
    """
    values = {"organization": organization, "groupings": list(map(grouping_name, groupings))}
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_DELETE, values)
        cursor.executemany(
            _INSERT,
            [
                {"organization": organization, **refusal._asdict(), "grouping": grouping_name(refusal.grouping)}
                for refusal in known
            ],
        )
