"""Copies rows into a table, also where PostgreSQL's own COPY refuses to: it goes with no policy of rows.

Policies are there only where readers are shown their own organizations alone (docs/security.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


@contextmanager
def copy_into(connection: Connection, table: str) -> Iterator[psycopg.Copy]:
    """COPY into a table by its `copy_<table>.sql`, in a transaction of the caller's."""
    text = statement(f"copy_{table}")
    if not _has_policies(connection, table):
        with connection.cursor() as cursor, cursor.copy(text) as copy:
            yield copy
        return
    connection.execute(statement("copied_begin").replace("/*table*/", table))
    with connection.cursor() as cursor, cursor.copy(text.replace(f"openai_costs.{table}", f"copied_{table}")) as copy:
        yield copy
    connection.execute(statement("copied_end").replace("/*table*/", table))


def _has_policies(connection: Connection, table: str) -> bool:
    row = connection.execute(statement("has_policies"), {"table": f"openai_costs.{table}"}).fetchone()
    return bool(row and row[0])
