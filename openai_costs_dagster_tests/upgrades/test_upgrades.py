"""Tests of upgrades from every earlier release: all rows remain, and all sums are equal to the last digit."""

from __future__ import annotations

import gzip
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from psycopg import sql

from openai_costs_dagster.version import __version__
from openai_costs_dagster.warehouse.database import Database

from ..conftest import Databases
from .dump import FOLDER, migrations, view_totals

FIXTURES = sorted(file.name.removesuffix(".json.gz") for file in FOLDER.glob("*.json.gz"))
ROOT = FOLDER.parents[1]
SCRIPTS = ROOT / "openai_costs_dagster" / "warehouse" / "migrations"
# The name of the module begins with a digit, so that an import statement cannot load it.
names = importlib.import_module("openai_costs_dagster.warehouse.migrations.versions.0012_names")


def load_fixture(name: str) -> Any:
    return json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))


def restore(database: Database, fixture: Any) -> None:
    """Create the schema of the release of a fixture, and load the rows of the fixture."""
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.url))
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema openai_costs")
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes["connection"] = connection
        command.upgrade(config, fixture["revision"])
    engine.dispose()
    with psycopg.connect(database.url) as connection:
        # Without triggers and foreign keys, tables can be loaded in any order.
        connection.execute("set session_replication_role = replica")
        for table, rows in fixture["rows"].items():
            columns = sql.SQL(", ").join(map(sql.Identifier, rows["columns"]))
            target = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier("openai_costs", table), columns)
            with connection.cursor() as cursor, cursor.copy(target) as copy:
                copy.write(rows["text"])


def renamed(table: str, columns: list[str], text: str) -> tuple[str, list[str], list[str]]:
    """Return the table name, column names and rows of a fixture after the renames of migration 0012."""
    table = names._TABLES.get(table, table)
    new_columns = {old: new for renamed_table, old, new in names._COLUMNS if renamed_table == table}
    columns = [new_columns.get(column, column) for column in columns]
    new_values = {(column, old): new for renamed_table, column, old, new in names._VALUES if renamed_table == table}
    rows = [
        "\t".join(
            new_values.get((column, value), value) for column, value in zip(columns, row.split("\t"), strict=True)
        )
        for row in text.splitlines()
    ]
    return table, columns, rows


@pytest.fixture(params=FIXTURES)
def upgraded(request: pytest.FixtureRequest, trust_server: Databases) -> Iterator[tuple[str, Database]]:
    database = trust_server.new(prepared=False)
    restore(database, load_fixture(request.param))
    database.prepare()
    yield request.param, database
    trust_server.drop(database)


def test_upgrade_preserves_view_totals(upgraded: tuple[str, Database]) -> None:
    name, database = upgraded
    with database.connect() as connection:
        assert view_totals(connection) == json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_upgrade_preserves_every_row_under_the_new_names(upgraded: tuple[str, Database]) -> None:
    name, database = upgraded
    with database.connect() as connection:
        for old_table, stored in load_fixture(name)["rows"].items():
            table, columns, rows = renamed(old_table, stored["columns"], stored["text"])
            source = sql.SQL("copy (select {} from {}) to stdout").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier("openai_costs", table)
            )
            with connection.cursor() as cursor, cursor.copy(source) as copy:
                found = b"".join(bytes(block) for block in copy).decode()
            assert sorted(found.splitlines()) == sorted(rows), table


def test_no_old_name_or_value_remains(upgraded: tuple[str, Database]) -> None:
    _, database = upgraded
    with database.connect() as connection:
        relations = {
            name
            for (name,) in connection.execute(
                "select relname from pg_class where relnamespace = 'openai_costs'::regnamespace"
            )
        }
        assert not relations & (names._TABLES.keys() | names._INDEXES.keys() | names._SEQUENCES.keys())
        for table in ("sync_windows", "anomaly_findings"):
            triggers = connection.execute(
                sql.SQL("select distinct trigger from {}").format(sql.Identifier("openai_costs", table))
            ).fetchall()
            assert triggers
            assert {trigger for (trigger,) in triggers} <= {"schedule", "backfill", "manual"}


def test_user_view_of_an_old_column_survives_the_rename(trust_server: Databases) -> None:
    database = trust_server.new(prepared=False)
    restore(database, load_fixture("0.1.0.dev2"))
    with psycopg.connect(database.url) as connection:
        connection.execute(
            "create view openai_costs.budget_status as select organization, budget, period_start, amount_limit, spent,"
            " forecast, forecast_low, forecast_high, spent / nullif(amount_limit, 0) as share, period_end, scope,"
            " scope_id, known_to, evaluated_at from openai_costs.budget_states"
        )
        connection.execute("create view public.user_view as select known_to from openai_costs.budget_status")
    database.prepare()
    with database.connect() as connection:
        cursor = connection.execute("select complete_to from openai_costs.budget_status")
        assert connection.execute("select known_to from public.user_view").fetchall() == cursor.fetchall()
    trust_server.drop(database)


def test_second_prepare_changes_nothing(upgraded: tuple[str, Database]) -> None:
    _, database = upgraded
    state = (
        "select relname, relfilenode, xmin::text from pg_class"
        " where relnamespace = 'openai_costs'::regnamespace order by relname"
    )
    with database.connect() as connection:
        before = connection.execute(state).fetchall()
    database.prepare()
    with database.connect() as connection:
        assert connection.execute(state).fetchall() == before


@pytest.mark.parametrize("name", FIXTURES)
def test_released_migrations_are_unchanged(name: str) -> None:
    assert load_fixture(name)["migrations"].items() <= migrations().items()


def test_every_released_version_has_a_fixture() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", changes, re.MULTILINE)
    assert set(released) <= set(FIXTURES)
    assert f"## {__version__} (" in changes
    assert FIXTURES
    assert Path(FOLDER / f"{FIXTURES[0]}.json").exists()
