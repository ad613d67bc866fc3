"""`prepare`: every table is there before anything starts, and nothing is told that should not be."""

from __future__ import annotations

import itertools

from openai_costs_dagster.warehouse.database import Database

from .conftest import Type

GIVEN = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}


def tables(database: Database) -> dict[str, int]:
    with database.connect() as connection:
        found = connection.execute(
            "select schemaname, relname from pg_stat_user_tables where schemaname like 'openai%' order by 1"
        ).fetchall()
    return {schema: len(list(names)) for schema, names in itertools.groupby(found, lambda row: str(row[0]))}


def test_all_tables_are_made_and_a_second_time_changes_nothing(type_in: Type, empty_database: Database) -> None:
    url = empty_database.url.replace("postgres:@", "postgres:hunter2@")
    first = type_in("prepare", DATABASE_URL=url, **GIVEN)
    assert (first.code, first.out.endswith(" is ready\n")) == (0, True), first
    assert "hunter2" not in first.said
    made = tables(empty_database)
    assert made.keys() == {"openai_costs", "openai_costs_dagster"}
    assert min(made.values()) > 10
    assert type_in("prepare", DATABASE_URL=url, **GIVEN).code == 0
    assert tables(empty_database) == made


def test_the_embedded_server_can_be_refused(type_in: Type) -> None:
    finished = type_in("prepare", OPENAI_COSTS_EMBEDDED_SERVER="never", **GIVEN)
    assert (finished.code, finished.out) == (2, "")
    assert "refuses the embedded PostgreSQL: set database.url" in finished.err


def test_a_refusal_that_is_mistyped_is_not_taken_for_leave(type_in: Type) -> None:
    finished = type_in("status", OPENAI_COSTS_EMBEDDED_SERVER="no", **GIVEN)
    assert (finished.code, finished.out) == (2, "")
    assert "OPENAI_COSTS_EMBEDDED_SERVER takes never or nothing; found 'no'" in finished.err
