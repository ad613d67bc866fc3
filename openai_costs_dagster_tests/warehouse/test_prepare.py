"""`prepare` brings a database up to this release: once, from any number of processes, and never backwards."""

import os
import subprocess
import sys

import psycopg
import pytest

from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.database import Database

from .windows import DAY, row, store, stored

PREPARE_WHEN_TOLD = """
import os, sys
from openai_costs_dagster.warehouse.database import Database
print("ready", flush=True)
sys.stdin.readline()
Database(os.environ["DATABASE_URL"]).prepare()
"""


def test_several_processes_at_once_prepare_one_database(empty_database: Database) -> None:
    processes = [
        subprocess.Popen(  # noqa: S603  # our own text
            [sys.executable, "-c", PREPARE_WHEN_TOLD],
            env={**os.environ, "DATABASE_URL": empty_database.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    complaints = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), complaints
    with empty_database.connect() as connection:
        store(connection, {DAY: [row("1.5")]})
        assert stored(connection) == {DAY: [row("1.5")]}


def test_preparing_again_only_looks(database: Database) -> None:
    with database.connect() as connection:
        before = connection.execute("select max(oid), max(xmin::text::bigint) from pg_class").fetchone()
    database.prepare()
    with database.connect() as connection:
        assert connection.execute("select max(oid), max(xmin::text::bigint) from pg_class").fetchone() == before


def test_a_view_that_another_release_left_is_made_anew(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("drop view openai_costs.daily_costs cascade")  # and focus, which is made of it
        connection.execute("update openai_costs.program set value = 'of another release' where key = 'views'")
    database.prepare()
    with database.connect() as connection:
        assert connection.execute("select count(*) from openai_costs.daily_costs").fetchone() == (0,)
        assert connection.execute("select count(*) from openai_costs.focus").fetchone() == (0,)


def test_a_schema_newer_than_the_program_is_refused_in_a_sentence_and_left_alone(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("update openai_costs.alembic_version set version_num = '9999'")
    with pytest.raises(errors.SchemaNewer, match=r"revision 9999.*upgrade openai-costs-dagster on this machine"):
        database.prepare()
    with database.connect() as connection:
        assert connection.execute("select version_num from openai_costs.alembic_version").fetchone() == ("9999",)


def test_a_preparation_that_fails_leaves_nothing_behind(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = ("create view openai_costs.broken as select * from openai_costs.no_such_table",)
    monkeypatch.setattr("openai_costs_dagster.warehouse.database.views", lambda: broken)
    with pytest.raises(errors.DatabaseRefused, match="no_such_table"):
        empty_database.prepare()
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute("select to_regnamespace('openai_costs')").fetchone() == (None,)


def test_the_history_of_an_older_schema_survives_its_migration(database: Database) -> None:
    with database.connect() as connection:
        store(connection, {DAY: [row("1.5")]})
        connection.execute("update openai_costs.program set value = 'older' where key = 'views'")
    database.prepare()
    with database.connect() as connection:
        assert stored(connection) == {DAY: [row("1.5")]}
