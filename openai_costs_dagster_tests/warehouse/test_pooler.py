"""Test PgBouncer in front of the database: only session pooling works, other modes are refused before any write."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import sqlalchemy

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration.runtime.storages import EventLogStorage
from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.database import Database

from ..conftest import Configure, Databases, OpenInstance

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
IGNORED = "ignore_startup_parameters = extra_float_digits,options"

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")

Bounce = Callable[..., Database]


@pytest.fixture
def bounce(trust_server: Databases) -> Iterator[Bounce]:
    """Start a PgBouncer with the given settings in front of a database and return the pooled address."""
    with ExitStack() as stack:

        def start(database: Database, mode: str, *settings: str) -> Database:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openai-costs-pgbouncer-")))
            parts = urlsplit(database.url)
            (sockets,) = parse_qs(parts.query)["host"]
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            users = folder / "users.txt"
            users.write_text('"postgres" ""\n')
            file = folder / "pgbouncer.ini"
            file.write_text(
                "\n".join(
                    [
                        "[databases]",
                        f"* = host={sockets}",
                        "[pgbouncer]",
                        "listen_addr = 127.0.0.1",
                        f"listen_port = {port}",
                        "unix_socket_dir =",
                        "auth_type = trust",
                        f"auth_file = {users}",
                        f"pool_mode = {mode}",
                        *settings,
                    ]
                )
            )
            owner = Path(sockets).stat()  # PgBouncer and PostgreSQL refuse to run as root.
            for path in (folder, users, file):
                os.chown(path, owner.st_uid, owner.st_gid)
            is_root = os.geteuid() == 0
            assert PROGRAM
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603
                    [PROGRAM, str(file)],
                    stderr=subprocess.PIPE,
                    text=True,
                    user=owner.st_uid if is_root else None,
                    group=owner.st_gid if is_root else None,
                    extra_groups=[] if is_root else None,
                )
            )
            stack.callback(process.terminate)
            assert process.stderr
            assert any("process up" in line for line in process.stderr)
            return Database(f"postgresql://postgres@127.0.0.1:{port}{parts.path}")

        yield start


def tables(database: Database) -> dict[str, int]:
    """Return the number of tables of each schema."""
    with psycopg.connect(database.url) as connection:
        return dict(
            connection.execute(
                "select schemaname::text, count(*) from pg_tables "
                "where schemaname not in ('pg_catalog', 'information_schema') group by 1"
            ).fetchall()
        )


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("transaction", ()),
        ("transaction", (IGNORED,)),
        ("transaction", (IGNORED, "default_pool_size = 1")),
        ("transaction", (IGNORED, "server_round_robin = 1", "min_pool_size = 2")),
        ("statement", (IGNORED,)),
    ],
    ids=str,
)
def test_pooler_that_shares_sessions_is_refused(
    bounce: Bounce, empty_database: Database, mode: str, settings: tuple[str, ...]
) -> None:
    pooled = bounce(empty_database, mode, *settings)
    with pytest.raises(errors.DatabaseRefused, match="shares sessions between its clients"):
        pooled.prepare()
    assert tables(empty_database) == {}
    with psycopg.connect(pooled.url, autocommit=True) as another_client:
        assert another_client.execute("show search_path").fetchone() == ('"$user", public',)


@pytest.mark.parametrize("settings", [(), (IGNORED,)], ids=str)
def test_session_pooling_works_for_costs_and_dagster(
    bounce: Bounce,
    empty_database: Database,
    configure: Configure,
    open_instance: OpenInstance,
    settings: tuple[str, ...],
) -> None:
    pooled = bounce(empty_database, "session", *settings)
    pooled.prepare()
    organization = Organization(name="acme", admin_key=SecretReference(env="NO_KEY"))
    instance = open_instance(configure(organization, database=pooled), pooled)
    assert instance.get_runs() == []
    assert tables(empty_database).keys() == {"openai_costs", "openai_costs_dagster"}
    storage = instance.event_log_storage
    assert isinstance(storage, EventLogStorage)
    assert shown(storage) == ["openai_costs_dagster", "UTC", "off", "0"]
    storage.optimize_for_webserver(statement_timeout=5000, pool_recycle=60, max_overflow=1)
    assert shown(storage) == ["openai_costs_dagster", "UTC", "off", "5s"]


def shown(storage: EventLogStorage) -> list[str]:
    """Return the settings of the sessions that Dagster's storage uses."""
    names = ("search_path", "timezone", "synchronous_commit", "statement_timeout")
    with storage.index_connection() as connection:
        return [str(connection.scalar(sqlalchemy.text(f"show {name}"))) for name in names]


def test_pooler_without_free_connections_is_transient(bounce: Bounce, empty_database: Database) -> None:
    pooled = bounce(empty_database, "session", "max_client_conn = 0")
    with pytest.raises(errors.DatabaseUnavailable, match="no more connections allowed") as raised:
        pooled.prepare()
    assert "running there" not in str(raised.value)
