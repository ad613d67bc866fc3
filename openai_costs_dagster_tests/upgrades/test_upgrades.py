"""A database of any earlier release is opened by this one with every sum unchanged, to the last digit."""

from __future__ import annotations

import gzip
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
from .dump import FOLDER, answers, migrations

KEPT = sorted(file.name.removesuffix(".json.gz") for file in FOLDER.glob("*.json.gz"))
ROOT = FOLDER.parents[1]
SCRIPTS = ROOT / "openai_costs_dagster" / "warehouse" / "migrations"


def read(name: str) -> Any:
    return json.loads(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()))


def restore(database: Database, dumped: Any) -> None:
    """The schema as its release's migrations made it, and its rows."""
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.url))
    with engine.begin() as connection:
        connection.exec_driver_sql("create schema openai_costs")
        config = Config()
        config.set_main_option("script_location", str(SCRIPTS))
        config.attributes["connection"] = connection
        command.upgrade(config, dumped["revision"])
    engine.dispose()
    with psycopg.connect(database.url) as connection:
        connection.execute("set session_replication_role = replica")  # in any order of tables
        for table, kept in dumped["rows"].items():
            columns = sql.SQL(", ").join(map(sql.Identifier, kept["columns"]))
            target = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier("openai_costs", table), columns)
            with connection.cursor() as cursor, cursor.copy(target) as copy:
                copy.write(kept["text"])


@pytest.fixture(params=KEPT)
def upgraded(request: pytest.FixtureRequest, trusting: Databases) -> Iterator[tuple[str, Database]]:
    database = trusting.new(prepared=False)
    restore(database, read(request.param))
    database.prepare()
    yield request.param, database
    trusting.drop(database)


def test_every_sum_and_every_count_of_the_views_is_as_it_was(upgraded: tuple[str, Database]) -> None:
    name, database = upgraded
    with database.connect() as connection:
        assert answers(connection) == json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_every_row_is_there_as_it_was(upgraded: tuple[str, Database]) -> None:
    name, database = upgraded
    with database.connect() as connection:
        for table, kept in read(name)["rows"].items():
            columns = sql.SQL(", ").join(map(sql.Identifier, kept["columns"]))
            source = sql.SQL("copy (select {} from {}) to stdout").format(
                columns, sql.Identifier("openai_costs", table)
            )
            with connection.cursor() as cursor, cursor.copy(source) as copy:
                found = b"".join(bytes(part) for part in copy).decode()
            assert sorted(found.splitlines()) == sorted(kept["text"].splitlines()), table


def test_preparing_again_changes_nothing(upgraded: tuple[str, Database]) -> None:
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


@pytest.mark.parametrize("name", KEPT)
def test_a_migration_that_was_released_is_not_edited_any_more(name: str) -> None:
    assert read(name)["migrations"].items() <= migrations().items()


def test_every_released_version_is_kept() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", changes, re.MULTILINE)
    assert set(released) <= set(KEPT)
    assert f"## {__version__} (" in changes
    assert KEPT
    assert Path(FOLDER / f"{KEPT[0]}.json").exists()
