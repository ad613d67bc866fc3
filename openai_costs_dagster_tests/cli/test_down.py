"""Tests of `down`, which stops the embedded server and keeps its data."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil

from openai_costs_dagster.warehouse.database import Database

from .conftest import RunCommand
from .program import Workplace, is_alive


def _server(place: Workplace) -> psutil.Process:
    return psutil.Process(int((place.data / "postgres" / "postmaster.pid").read_text().splitlines()[0]))


def test_embedded_server_runs_until_down(place: Workplace) -> None:
    key = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}
    umask = os.umask(0)
    try:
        assert place.run("env", **key).code == 0
    finally:
        os.umask(umask)
    # Everything in the data directory is private whatever the umask is. As root, the server's user may pass through.
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (place.data, *place.data.rglob("*"))}
    server_may_pass = 0o010 if os.geteuid() == 0 else 0
    assert modes.pop(place.data) & 0o077 == server_may_pass
    sockets = {path for path in modes if path.is_socket()}
    assert [path for path, mode in modes.items() if mode & 0o077 and path not in sockets] == []
    assert (place.data / "dagster" / "dagster.yaml") in modes
    server = _server(place)
    assert is_alive(server)
    assert place.run("status", **key).code == 1  # No day is stored yet, so an action is required.
    assert _server(place) == server

    down = place.run("down", **key)
    assert (down.code, down.out, down.err) == (0, "PostgreSQL stopped\n", "")
    assert not is_alive(server)
    assert place.processes() == []
    assert (place.data / "postgres" / "PG_VERSION").exists()

    again = place.run("down", **key)
    assert (again.code, again.out, again.err) == (0, "PostgreSQL was not running\n", "")
    assert place.processes() == []


def test_external_server_is_not_stopped(run_command: RunCommand, database: Database, tmp_path: Path) -> None:
    finished = run_command("down", OPENAI_ADMIN_KEY="sk-admin-simulated-acme", DATABASE_URL=database.url)
    assert (finished.code, finished.out) == (0, "the database is your own server and keeps running\n")
    with database.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert list(tmp_path.iterdir()) == []


def test_down_without_a_server_creates_nothing(run_command: RunCommand, tmp_path: Path) -> None:
    finished = run_command("down", OPENAI_ADMIN_KEY="sk-admin-simulated-acme")
    assert (finished.code, finished.out) == (0, "PostgreSQL was not running\n")
    assert list(tmp_path.iterdir()) == []
