"""Opens connections to the PostgreSQL database, and creates and migrates the database schema `openai_costs`.

Each connection first executes `queries/session/settings.sql`. These session settings replace settings of the database's
administrator that would disturb a run, for example a short `statement_timeout`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.rows import TupleRow

from openai_costs_dagster.warehouse import errors, failures, view_versions
from openai_costs_dagster.warehouse.address import Address
from openai_costs_dagster.warehouse.roles import dagster_grants, grants
from openai_costs_dagster.warehouse.schema import SCHEMA
from openai_costs_dagster.warehouse.server_checks import check_privileges, check_server
from openai_costs_dagster.warehouse.statements import statement, views

Connection = psycopg.Connection[TupleRow]
_Connection = TypeVar("_Connection", bound=Connection)

_LOG = logging.getLogger(__name__)
_NAME = "openai-costs"
_NAMESPACE_EXISTS = "select to_regnamespace(%(name)s) is not null"
_REVISION = "select version_num from openai_costs.alembic_version"
# This lock makes a second process wait while a first process migrates the schema. The lock mode conflicts with itself
# but not with SELECT, so users who only read the views neither block this lock nor wait for it.
_LOCK_REVISION = "lock table openai_costs.alembic_version in share row exclusive mode"
_CREATED_BY_ANOTHER = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DuplicateSchema,
    psycopg.errors.DuplicateTable,
)
_MIGRATION_ATTEMPTS = 5
_REPORT_WAIT_AFTER_S = 5.0
_REPORT_WAIT_AGAIN_AFTER_S = 300.0
_STORE_METADATA = """
insert into openai_costs.schema_metadata (key, value) values (%(key)s, %(value)s)
on conflict (key) do update set value = excluded.value
"""
_FIND_METADATA = "select value from openai_costs.schema_metadata where key = %(key)s"


class Database:
    """A PostgreSQL database with the schema `openai_costs`. Creating an instance opens no connection."""

    def __init__(self, url: str) -> None:
        """Parse the database URL without connecting. Raises `DatabaseRefused` if the database URL is invalid."""
        self.address = Address(url)

    def __repr__(self) -> str:
        return f"Database({self.safe_url!r})"

    @property
    def url(self) -> str:
        """The URL for psql, including the password."""
        return self.address.text

    @property
    def safe_url(self) -> str:
        """The database URL without the password, for messages and logs."""
        return self.address.safe

    @contextmanager
    def connect(self, *, name: str = _NAME) -> Iterator[Connection]:
        """Open a connection in autocommit mode, and close the connection at the end of the `with` block.

        `name` is the application name that PostgreSQL shows for the session. If connecting fails, or the connection
        fails in the `with` block, raises `DatabaseUnavailable` for a transient failure and `DatabaseRefused` for a
        permanent failure.
        """
        with self.connect_as(Connection, name=name) as connection:
            yield connection

    @contextmanager
    def connect_as(self, connection_class: type[_Connection], *, name: str) -> Iterator[_Connection]:
        """Open a connection as `connect` does, but as an instance of `connection_class`, a subclass of `Connection`."""
        with self._open_as(connection_class, name) as connection:
            # The administrator of the database may have set a short `statement_timeout`, which would abort a run that
            # waits for a lock. The session settings of this package replace it
            # (docs/decisions/0026-database-sessions.md).
            connection.execute(statement("session/settings"))
            yield connection

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        """Open a connection in autocommit mode without the session settings of this package."""
        with self._open_as(Connection, _NAME) as connection:
            yield connection

    @contextmanager
    def _open_as(self, connection_class: type[_Connection], name: str) -> Iterator[_Connection]:
        connection = self._new_connection(connection_class, name)
        try:
            with connection:
                yield connection
        except psycopg.Error as error:
            failure = failures.of_use(error, self.address)
            if failure is None:
                raise
            raise failure from None

    def _new_connection(self, connection_class: type[_Connection], name: str) -> _Connection:
        conninfo = self.address.conninfo(name)
        try:
            return connection_class.connect(conninfo, autocommit=True)
        except psycopg.Error as error:
            raise failures.of_connecting(error, self.address, conninfo) from None

    def prepare(self) -> None:
        """Create or migrate the schema `openai_costs` and its views. Writes nothing if schema and views are current.

        Views of a newer release are not changed, because a newer release with the same schema has only added columns to
        them. If several processes call `prepare` at once, one of them migrates and the others wait. Raises a
        `WarehouseError` if the database cannot be used or the migration fails.
        """
        with self._open() as connection:
            # The server is checked before the session settings are made. If a connection pooler shares this session
            # with other clients, the settings would affect them.
            check_server(connection, self._open, self.safe_url)
            connection.execute(statement("session/settings"))
            if _is_current(connection):
                return
            check_privileges(connection, self.safe_url)
        self._migrate()

    def check_privileges(self) -> None:
        """Raise a `WarehouseError` if the database user may not create the schema or store rows."""
        with self.connect() as connection:
            check_privileges(connection, self.safe_url)

    def make_schema(self, name: str) -> None:
        """Create the database schema `name` if it does not exist. A schema of another owner is accepted as well.

        Raises a `WarehouseError` if the database fails or the user may not create schemas.
        """
        with self.connect() as connection:
            found = connection.execute(_NAMESPACE_EXISTS, {"name": name}).fetchone()
            if not (found and found[0]):
                # If another process creates the schema at the same time, CREATE SCHEMA fails, even with IF NOT EXISTS.
                # The schema exists then, so the error is ignored.
                with suppress(*_CREATED_BY_ANOTHER):
                    connection.execute(f"create schema {name}")

    def grant_on_dagster(self) -> None:
        """Grant privileges on Dagster's tables to the database roles that docs/security.md describes.

        Raises a `WarehouseError` if the database fails.
        """
        with self.connect() as connection:
            connection.execute(dagster_grants())

    def _migrate(self) -> None:
        # SQLAlchemy cannot parse all addresses that psycopg accepts, so psycopg opens the connection. `NullPool` closes
        # the connection after the migration, while a pool would keep it open.
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=self._migrating_connection, poolclass=sqlalchemy.NullPool
        )
        for attempt in range(_MIGRATION_ATTEMPTS):
            try:
                with engine.begin() as connection, self._reporting_migration(connection):
                    _migrate_in(connection)
                return
            except sqlalchemy.exc.DBAPIError as error:
                # In a new database, there is no version table to lock. If several processes create the schema at once,
                # one of them succeeds, and the others fail as soon as the first has committed. They then try again.
                is_raced = isinstance(error.orig, _CREATED_BY_ANOTHER)
                if not is_raced or attempt == _MIGRATION_ATTEMPTS - 1:
                    raise self._not_migrated(error.orig or error) from None

    def _reporting_migration(self, connection: sqlalchemy.Connection) -> AbstractContextManager[None]:
        backend_pid = int(connection.exec_driver_sql("select pg_backend_pid()").scalar_one())
        return self.reporting_waits(backend_pid, "the migration of the schema")

    @contextmanager
    def reporting_waits(self, backend_pid: int, activity: str) -> Iterator[None]:
        """While the `with` block runs, log a warning if it waits for a lock that another database session holds.

        The first warning follows after 5 seconds and names the other session. `backend_pid` is the process id of the
        PostgreSQL session that the `with` block uses, and `activity` names the work of the block in the warning.
        """
        ended = threading.Event()

        def run() -> None:
            pause_s = _REPORT_WAIT_AFTER_S
            while not ended.wait(pause_s):
                with suppress(errors.WarehouseError), self.connect() as connection:
                    for pid, name in connection.execute(statement("session/blockers"), {"pid": backend_pid}):
                        pause_s = _REPORT_WAIT_AGAIN_AFTER_S
                        _LOG.warning(
                            "%s: %s waits for the database session %s (%s); "
                            "it continues when the transaction of that session ends",
                            *(self.safe_url, activity, pid, name),
                        )

        thread = threading.Thread(target=run, name="openai-costs waits", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()

    def _migrating_connection(self) -> Connection:
        """Return a connection on which SQLAlchemy runs the migrations. SQLAlchemy closes the connection."""
        connection = self._new_connection(Connection, _NAME)
        connection.execute(statement("session/settings"))
        # The session settings are made in autocommit mode. In a transaction, a rollback of the migration would undo
        # them.
        connection.autocommit = False
        return connection

    def _not_migrated(self, error: BaseException) -> errors.WarehouseError:
        message = self.address.redacted(failures.explained(_first_line(error), getattr(error, "sqlstate", None)))
        failure = failures.of_use(error, self.address) if isinstance(error, psycopg.Error) else None
        if isinstance(failure, errors.DatabaseUnavailable):
            return errors.DatabaseUnavailable(
                f"{self.safe_url}: the schema could not be migrated this time, nothing was changed: {message}"
            )
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            message += "; run openai-costs prepare as the owner of the schema"
        return errors.DatabaseRefused(f"{self.safe_url}: the schema cannot be migrated: {message}")


_SCRIPTS = Path(__file__).with_name("migrations")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_SCRIPTS))


@cache
def _known_revisions() -> set[str]:
    # Alembic imports all migration files to list their revisions, which takes time, so the list is cached.
    return {script.revision for script in _scripts().walk_revisions()}


@cache
def _head() -> str | None:
    return _scripts().get_current_head()


def _migrate_in(connection: sqlalchemy.Connection) -> None:
    """Create or migrate the schema `openai_costs` and its views in the current transaction of `connection`."""
    driver: Any = connection.connection.driver_connection
    if _revision(driver) is not None:
        connection.exec_driver_sql(_LOCK_REVISION)
    if _is_current(driver):  # Another process migrated the schema while this process waited for the lock.
        return
    # CREATE SCHEMA IF NOT EXISTS requires the privilege to create schemas, even if the schema exists. A user without
    # this privilege can still migrate an existing schema.
    if not _has_namespace(connection, SCHEMA):
        connection.exec_driver_sql(f"create schema {SCHEMA}")
    config = Config()
    # Alembic replaces placeholders that start with "%" in its options, so a "%" in the path has to be doubled.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    for view in views():
        # SQLAlchemy always passes parameters to psycopg, which then reads a single "%" as the start of a placeholder.
        # Each "%" in the SQL text therefore has to be doubled.
        connection.exec_driver_sql(view.replace("%", "%%"))
    connection.exec_driver_sql(grants().replace("%", "%%"))
    connection.exec_driver_sql(_STORE_METADATA, {"key": "views", "value": str(view_versions.CURRENT)})


def _is_current(connection: Connection) -> bool:
    """Return whether the schema and the views in the database are those of this release.

    Views of a newer release with the same schema also count as current. Raises `SchemaNewer` if a newer release has
    migrated the schema.
    """
    revision = _revision(connection)
    if revision is not None and revision not in _known_revisions():
        raise errors.SchemaNewer(
            f"the schema {SCHEMA} is at revision {revision}, which this release does not know: "
            "a newer release has migrated it; upgrade openai-costs-dagster on this machine"
        )
    return revision == _head() and view_versions.parse(_metadata_value(connection, "views")) >= view_versions.CURRENT


def _revision(connection: Connection) -> str | None:
    exists = connection.execute(statement("session/schema_exists")).fetchone()
    if not exists or not exists[0]:
        return None
    row = connection.execute(_REVISION).fetchone()
    return str(row[0]) if row else None


def _has_namespace(connection: sqlalchemy.Connection, name: str) -> bool:
    return bool(connection.exec_driver_sql(_NAMESPACE_EXISTS, {"name": name}).scalar())


def _metadata_value(connection: Connection, key: str) -> str | None:
    row = connection.execute(_FIND_METADATA, {"key": key}).fetchone()
    return str(row[0]) if row else None


def _first_line(error: BaseException) -> str:
    lines: list[Any] = str(error).strip().splitlines()
    return str(lines[0]) if lines else type(error).__name__
