"""Tests of `prepare`: the schema is created or upgraded once, even by concurrent processes, and never downgraded."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

import openai_costs_dagster
from openai_costs_dagster.warehouse import database as database_module
from openai_costs_dagster.warehouse import errors, view_versions
from openai_costs_dagster.warehouse.database import Database

from .windows import DAY, row, store, stored

PREPARE_WHEN_TOLD = """
import os, sys
from openai_costs_dagster.warehouse.database import Database
print("ready", flush=True)
sys.stdin.readline()
database = Database(os.environ["DATABASE_URL"])
database.prepare()
database.make_schema("openai_costs_dagster")
"""


@pytest.mark.parametrize("schema_exists", [False, True], ids=["empty database", "schema of an administrator"])
def test_several_processes_at_once_prepare_one_database(empty_database: Database, *, schema_exists: bool) -> None:
    if schema_exists:
        with empty_database.connect() as connection:
            connection.execute("create schema openai_costs")
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


def test_migration_reports_the_session_that_it_waits_for(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database_module, "_REPORT_WAIT_AFTER_S", 0.01)
    with database.connect() as connection:
        connection.execute("update openai_costs.schema_metadata set value = 'of another release' where key = 'views'")
    others = [threading.Thread(target=database.prepare, daemon=True) for _ in range(2)]
    with database.connect(name="a dashboard") as reader:
        with reader.transaction():
            reader.execute("select from openai_costs.daily_costs")
            for other in others:
                other.start()
            # One migration waits for the reader, and the other migration waits for the first migration.
            while not ("(a dashboard)" in caplog.text and "(openai-costs)" in caplog.text):
                assert all(other.is_alive() for other in others)
        for other in others:
            other.join(30)
        assert caplog.text.count("the migration of the schema waits for the database session") == 2
        found = reader.execute("select value from openai_costs.schema_metadata where key = 'views'").fetchone()
    assert found == (str(view_versions.CURRENT),)


def test_package_in_a_folder_with_an_unusual_name_can_migrate(
    empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / 'it\'s a 100% "\u00fcn\u00efcode" dir %(here)s' / "migrations"
    shutil.copytree(database_module._SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(database_module, "_SCRIPTS", scripts)
    empty_database.prepare()
    with empty_database.connect() as connection:
        store(connection, {DAY: [row("1.5")]})
        assert stored(connection) == {DAY: [row("1.5")]}


def test_preparing_again_writes_nothing(database: Database) -> None:
    with database.connect() as connection:
        before = connection.execute("select max(oid), max(xmin::text::bigint) from pg_class").fetchone()
    database.prepare()
    with database.connect() as connection:
        assert connection.execute("select max(oid), max(xmin::text::bigint) from pg_class").fetchone() == before


def test_view_of_another_release_is_replaced(database: Database) -> None:
    with database.connect() as connection:
        # This also drops the view `focus`, which depends on `daily_costs`.
        connection.execute("drop view openai_costs.daily_costs cascade")
        connection.execute("update openai_costs.schema_metadata set value = 'of another release' where key = 'views'")
    database.prepare()
    with database.connect() as connection:
        assert connection.execute("select count(*) from openai_costs.daily_costs").fetchone() == (0,)
        assert connection.execute("select count(*) from openai_costs.focus").fetchone() == (0,)


NEWER_RELEASE = """
import os
from openai_costs_dagster.warehouse import database, view_versions
print(view_versions.CURRENT)
database.Database(os.environ["DATABASE_URL"]).prepare()
"""


def newer_release(folder: Path) -> Path:
    """Copy this package, add a column to its view `sync_status`, and return the parent folder of the copy."""
    package = folder / "openai_costs_dagster"
    for name in ("warehouse", "spend", "simulator"):
        shutil.copytree(Path(openai_costs_dagster.__file__).with_name(name), package / name)
    for file in Path(openai_costs_dagster.__file__).parent.glob("*.py"):
        shutil.copy(file, package)
    view = package / "warehouse" / "views" / "030_sync_status.sql"
    text = view.read_text(encoding="utf-8")
    changed = text.replace("\nfrom ", ",\n    1 as of_the_newer_release\nfrom ")
    assert changed != text
    view.write_text(changed, encoding="utf-8")
    versions = package / "warehouse" / "view_versions.py"
    text = versions.read_text(encoding="utf-8")
    versions.write_text(text.replace("max(DIGESTS)", "max(DIGESTS) + 1"), encoding="utf-8")
    return folder


def test_older_release_works_with_newer_views(database: Database, tmp_path: Path) -> None:
    release = newer_release(tmp_path)

    def prepare_with_the_newer_release() -> None:
        finished = subprocess.run(  # noqa: S603 - our own text
            [sys.executable, "-c", NEWER_RELEASE],
            env={**os.environ, "DATABASE_URL": database.url, "PYTHONPATH": str(release)},
            cwd=release,
            check=True,
            capture_output=True,
            text=True,
        )
        assert finished.stdout == f"{view_versions.CURRENT + 1}\n"

    def views() -> list[tuple[str, int]]:
        with database.connect() as connection:
            connection.execute("select of_the_newer_release from openai_costs.sync_status")
            return connection.execute(
                "select relname, xmin::text::bigint from pg_class where relnamespace = 'openai_costs'::regnamespace"
                " and relkind = 'v' order by 1"
            ).fetchall()

    prepare_with_the_newer_release()
    before = views()
    database.prepare()
    prepare_with_the_newer_release()
    database.prepare()
    assert views() == before
    with database.connect() as connection:
        store(connection, {DAY: [row("1.5")]})
        assert stored(connection) == {DAY: [row("1.5")]}


def test_older_release_that_waited_keeps_newer_views(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.connect() as connection:
        newer = str(view_versions.CURRENT + 1)
        connection.execute("update openai_costs.schema_metadata set value = %s where key = 'views'", [newer])
    monkeypatch.setattr("openai_costs_dagster.warehouse.database.views", lambda: ("this is no view",))
    database._migrate()
    with database.connect() as connection:
        assert connection.execute("select value from openai_costs.schema_metadata where key = 'views'").fetchone() == (
            newer,
        )


def test_changed_views_need_a_new_version() -> None:
    digest, versions = view_versions.digest(), view_versions.DIGESTS
    assert versions[view_versions.CURRENT] == digest, (
        "views or grants have changed; if the version was not changed for it yet, add this line to "
        f'warehouse/view_versions.py:    {view_versions.CURRENT + 1}: "{digest}",'
    )
    assert list(versions) == list(range(1, len(versions) + 1))
    assert len(set(versions.values())) == len(versions)


@pytest.mark.parametrize(("stored", "version"), [(None, 0), ("", 0), ("9f3b" * 16, 0), ("7", 7)])
def test_stored_version_of_the_views_is_parsed(stored: str | None, version: int) -> None:
    assert view_versions.parse(stored) == version


def test_newer_schema_is_refused_and_unchanged(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("update openai_costs.alembic_version set version_num = '9999'")
    with pytest.raises(errors.SchemaNewer, match=r"revision 9999.*upgrade openai-costs-dagster on this machine"):
        database.prepare()
    with database.connect() as connection:
        assert connection.execute("select version_num from openai_costs.alembic_version").fetchone() == ("9999",)


def test_failed_preparation_changes_nothing(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ("create view openai_costs.broken as select * from openai_costs.no_such_table",)
    monkeypatch.setattr("openai_costs_dagster.warehouse.database.views", lambda: broken)
    with pytest.raises(errors.DatabaseRefused, match="no_such_table"):
        empty_database.prepare()
    with psycopg.connect(empty_database.url) as connection:
        assert connection.execute("select to_regnamespace('openai_costs')").fetchone() == (None,)


def test_history_of_an_older_schema_survives_the_migration(database: Database) -> None:
    with database.connect() as connection:
        store(connection, {DAY: [row("1.5")]})
        connection.execute("update openai_costs.schema_metadata set value = 'older' where key = 'views'")
    database.prepare()
    with database.connect() as connection:
        assert stored(connection) == {DAY: [row("1.5")]}
