"""Tests of `env`, `database-url` and `exec`, which let other programs use the same Dagster storage."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from openai_costs_dagster.configuration import ConfigurationError
from openai_costs_dagster.orchestration.runtime import instance
from openai_costs_dagster.warehouse.database import Database

from ..loaded import Loaded
from .conftest import RunCommand
from .program import lines

PASSWORD = "hunter2"


def with_password(database: Database) -> str:
    """Return the database URL with a password. The server accepts any password (`trust` authentication)."""
    return database.url.replace("postgres:@", f"postgres:{PASSWORD}@")


def test_exports_give_dagster_in_a_shell_the_same_history(loaded: Loaded) -> None:
    count_runs = "import dagster as dg, json; print(json.dumps(dg.DagsterInstance.get().get_runs_count()))"
    done = subprocess.run(  # noqa: S603  # our own program, in a shell as the documentation shows
        ["/bin/sh", "-euc", f'eval "$(openai-costs env)"; export | grep DAGSTER; "{sys.executable}" -c "{count_runs}"'],
        cwd=loaded.place.folder,
        env=loaded.place.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert f"DAGSTER_HOME='{loaded.place.data / 'dagster'}'" in done.stdout
    ((runs,),) = loaded.place.sql("select count(*) from openai_costs_dagster.runs")
    assert json.loads(lines(done.stdout)[-1]) == runs > 0


def test_exports_show_no_password(run_command: RunCommand, database: Database, tmp_path: Path) -> None:
    finished = run_command("env", OPENAI_ADMIN_KEY="sk-admin-simulated-acme", DATABASE_URL=with_password(database))
    assert (finished.code, finished.err) == (0, "")
    assert PASSWORD not in finished.out
    assert "sk-admin" not in finished.out
    assert all(line.startswith("export ") for line in lines(finished.out))
    assert f"export DAGSTER_HOME={tmp_path / '.openai-costs' / 'dagster'}" in lines(finished.out)


def test_existing_dagster_home_is_used(run_command: RunCommand, database: Database, tmp_path: Path) -> None:
    home = tmp_path / "my home"
    missing = run_command(
        "env", OPENAI_ADMIN_KEY="sk-admin-simulated-acme", DATABASE_URL=database.url, DAGSTER_HOME=str(home)
    )
    assert missing.err == (
        f"openai-costs: DAGSTER_HOME names {home}, which is not a directory: create it, or unset DAGSTER_HOME\n"
    )
    home.mkdir()
    finished = run_command(
        "env", OPENAI_ADMIN_KEY="sk-admin-simulated-acme", DATABASE_URL=database.url, DAGSTER_HOME=f" {home}\r\n"
    )
    assert f"export DAGSTER_HOME='{home}'" in lines(finished.out)
    assert not (tmp_path / ".openai-costs" / "dagster").exists()


def test_psql_accepts_the_printed_url(loaded: Loaded) -> None:
    finished = loaded.place.run("database-url")
    assert (finished.code, finished.err) == (0, "")
    (url,) = lines(finished.out)
    with psycopg.connect(url) as connection:
        (days,) = connection.execute("select count(*) from openai_costs.daily_costs").fetchone() or (0,)
    assert days


def test_dagster_storage_is_a_schema_of_the_same_database(run_command: RunCommand, database: Database) -> None:
    finished = run_command(
        "database-url", "--dagster", OPENAI_ADMIN_KEY="sk-admin-simulated-acme", DATABASE_URL=database.url
    )
    (url,) = lines(finished.out)
    assert url.startswith("postgresql+psycopg2://")
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("show search_path")) == "openai_costs_dagster"
        assert connection.scalar(sqlalchemy.text("show timezone")) == "UTC"


def test_exec_runs_a_program_with_the_exported_environment(loaded: Loaded) -> None:
    shown = dict(line.split("=", 1) for line in lines(loaded.place.run("exec", "--", "env", "-u", "LANG").out))
    assert shown["DAGSTER_HOME"] == str(loaded.place.data / "dagster")
    assert shown["DAGSTER_EVENT_BATCH_SIZE"] == "500"
    assert shown["OPENAI_COSTS_DAGSTER_DATABASE_URL"] == lines(loaded.place.run("database-url", "--dagster").out)[0]
    assert "LANG" not in shown  # Options after the name of the program belong to the program.


def test_exec_returns_the_exit_code_of_the_command(loaded: Loaded) -> None:
    assert loaded.place.run("exec", "--", "sh", "-c", "exit 7").code == 7


def test_missing_program_is_refused(run_command: RunCommand, database: Database) -> None:
    given = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme", "DATABASE_URL": database.url}
    finished = run_command("exec", "--", "no-such-program", **given)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == "openai-costs: the program no-such-program cannot be run: No such file or directory\n"


def test_percent_sign_in_the_folder_is_reported_in_one_sentence(tmp_path: Path) -> None:
    package = ModuleSpec(
        "dagster_postgres", None, origin=str(tmp_path / "100% venv" / "dagster_postgres" / "__init__.py")
    )
    with pytest.raises(ConfigurationError, match=r"100% venv.*cannot migrate its tables from a path that contains '%'"):
        instance._refuse_percent_sign(package)
    instance._refuse_percent_sign(ModuleSpec("dagster_postgres", None, origin=str(tmp_path / "it's a venv")))
