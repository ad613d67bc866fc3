"""A query function that returns rows as dictionaries."""

from __future__ import annotations

from typing import Any

from openai_costs_dagster.warehouse.database import Connection


def fetch_dicts(connection: Connection, query: str) -> list[dict[str, Any]]:
    """Return the rows of a query, each as a dictionary by column name. Column names must be unique."""
    result = connection.execute(query.encode())
    names = [column.name for column in result.description or ()]
    assert len(names) == len(set(names))
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
