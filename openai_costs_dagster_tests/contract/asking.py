"""Queries that return rows as dictionaries by column name, as database clients do."""

from __future__ import annotations

from typing import Any

from openai_costs_dagster.warehouse.database import Connection


def ask(connection: Connection, query: str) -> list[dict[str, Any]]:
    answer = connection.execute(query.encode())
    names = [column.name for column in answer.description or ()]
    assert len(names) == len(set(names))
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
