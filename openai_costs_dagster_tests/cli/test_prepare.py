"""Tests of `prepare`, which creates all tables before the services start and prints no secret."""

from __future__ import annotations

import itertools
from urllib.parse import urlsplit

import pytest

from openai_costs_dagster.warehouse.database import Database

from ..conftest import Databases
from .conftest import RunCommand

GIVEN = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}


def tables(database: Database) -> dict[str, int]:
    with database.connect() as connection:
        found = connection.execute(
            "select schemaname, relname from pg_stat_user_tables where schemaname like 'openai%' order by 1"
        ).fetchall()
    return {schema: len(list(names)) for schema, names in itertools.groupby(found, lambda row: str(row[0]))}


def test_prepare_creates_all_tables_and_is_idempotent(run_command: RunCommand, empty_database: Database) -> None:
    url = empty_database.url.replace("postgres:@", "postgres:hunter2@")
    first = run_command("prepare", DATABASE_URL=url, **GIVEN)
    assert (first.code, first.out.endswith(" is ready\n")) == (0, True), first
    assert "hunter2" not in first.output
    made = tables(empty_database)
    assert made.keys() == {"openai_costs", "openai_costs_dagster"}
    assert min(made.values()) > 10
    assert run_command("prepare", DATABASE_URL=url, **GIVEN).code == 0
    assert tables(empty_database) == made


def test_prepare_fails_if_the_embedded_server_is_disallowed(run_command: RunCommand) -> None:
    finished = run_command("prepare", OPENAI_COSTS_EMBEDDED_SERVER="never", **GIVEN)
    assert (finished.code, finished.out) == (2, "")
    assert "refuses the embedded PostgreSQL: set database.url" in finished.err


def test_invalid_value_of_the_embedded_server_variable_is_an_error(run_command: RunCommand) -> None:
    finished = run_command("status", OPENAI_COSTS_EMBEDDED_SERVER="no", **GIVEN)
    assert (finished.code, finished.out) == (2, "")
    assert "OPENAI_COSTS_EMBEDDED_SERVER must be never or unset, not 'no'" in finished.err


def test_database_of_another_encoding_is_refused_with_the_remedy(run_command: RunCommand, databases: Databases) -> None:
    database = databases.new(prepared=False, options="encoding 'LATIN1' locale 'C'")
    finished = run_command("prepare", DATABASE_URL=database.url, **GIVEN)
    assert (finished.code, finished.out) == (1, "")
    assert finished.err.endswith("use a database made with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0\n")
    assert finished.err.count("\n") == 1


@pytest.mark.parametrize("command", [["prepare"], ["backfill"], ["up"]], ids=" ".join)
def test_sessions_that_became_read_only_are_refused_with_the_remedy(
    run_command: RunCommand, databases: Databases, database: Database, command: list[str]
) -> None:
    name = urlsplit(database.url).path[1:]
    with database.connect() as connection:
        connection.execute("create schema openai_costs_dagster")
    databases.administrator.execute(f"alter database {name} set default_transaction_read_only = on")
    finished = run_command(*command, DATABASE_URL=database.url, **GIVEN)
    assert (finished.code, finished.out) == (1, "")
    assert "sessions of this user are read-only; set default_transaction_read_only to off" in finished.err
    assert finished.err.count("\n") == 1
