"""One PostgreSQL database: connecting, and bringing the schema up to this release.

What a session depends on is set by `session.sql` after connecting, over the settings of the administrator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.rows import TupleRow

from openai_costs_dagster.warehouse import errors, failures, view_versions
from openai_costs_dagster.warehouse.address import Address
from openai_costs_dagster.warehouse.roles import grants
from openai_costs_dagster.warehouse.schema import SCHEMA
from openai_costs_dagster.warehouse.server_checks import check_privileges, check_server
from openai_costs_dagster.warehouse.statements import statement, views

Connection = psycopg.Connection[TupleRow]

_NAME = "openai-costs"
_NAMESPACE_EXISTS = "select to_regnamespace(%(name)s) is not null"
_REVISION = "select version_num from openai_costs.alembic_version"
_STORE_METADATA = """
insert into openai_costs.schema_metadata (key, value) values (%(key)s, %(value)s)
on conflict (key) do update set value = excluded.value
"""
_FIND_METADATA = "select value from openai_costs.schema_metadata where key = %(key)s"


class Database:
    """A PostgreSQL database that holds the schema `openai_costs`; cheap to make, connects when used."""

    def __init__(self, url: str) -> None:
        """Raises DatabaseRefused for an address that cannot be read."""
        self.address = Address(url)

    def __repr__(self) -> str:
        return f"Database({self.safe_url!r})"

    @property
    def url(self) -> str:
        """The address as psql takes it, with its password."""
        return self.address.text

    @property
    def safe_url(self) -> str:
        """The address for people: without the password."""
        return self.address.safe

    @contextmanager
    def connect(self, *, name: str = _NAME) -> Iterator[Connection]:
        """A connection in autocommit with the settings of `session.sql`. `name` is what other sessions see of us.

        Raises DatabaseUnavailable for transient failures and DatabaseRefused for permanent ones, of connecting and of
        using the connection.
        """
        with self._open(name) as connection:
            connection.execute(statement("session/settings"))
            yield connection

    @contextmanager
    def _open(self, name: str = _NAME) -> Iterator[Connection]:
        """A connection in autocommit with the administrator's own settings."""
        connection = self._new_connection(name)
        try:
            with connection:
                yield connection
        except psycopg.Error as error:
            failure = failures.of_use(error, self.address)
            if failure is None:
                raise
            raise failure from None

    def _new_connection(self, name: str) -> Connection:
        conninfo = self.address.conninfo(name)
        try:
            return psycopg.connect(conninfo, autocommit=True)
        except psycopg.Error as error:
            raise failures.of_connecting(error, self.address, conninfo) from None

    def prepare(self) -> None:
        """Creates or migrates the schema and its views; only reads if both are current.

        Views of a newer release stay: it has added columns at most, or its schema would be newer as well.
        Safe with several processes at once: one migrates, the others wait. Raises a WarehouseError.
        """
        with self._open() as connection:
            check_server(connection, self._open, self.safe_url)
            connection.execute(statement("session/settings"))
            if _is_current(connection):
                return
            check_privileges(connection, self.safe_url)
        self._migrate()

    def check_privileges(self) -> None:
        """Checks that this user may write here. Raises a WarehouseError."""
        with self.connect() as connection:
            check_privileges(connection, self.safe_url)

    def make_schema(self, name: str) -> None:
        """Makes a schema where there is none; one that is there may be someone else's. Raises a WarehouseError."""
        with self.connect() as connection, connection.transaction():
            connection.execute(
                statement("session/migration_lock")
            )  # two that make one at once fail, "if not exists" or not
            found = connection.execute(_NAMESPACE_EXISTS, {"name": name}).fetchone()
            if not (found and found[0]):
                connection.execute(f"create schema if not exists {name}")

    def grant(self) -> None:
        """Gives the roles of docs/security.md what they need of what there is now. Raises a WarehouseError."""
        with self.connect() as connection:
            connection.execute(grants())

    def _migrate(self) -> None:
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=self._migrating_connection, poolclass=sqlalchemy.NullPool
        )
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement("session/migration_lock"))
                driver: Any = connection.connection.driver_connection
                if _is_current(driver):  # another process was first
                    return
                if not _has_namespace(connection, SCHEMA):  # "if not exists" asks for the right to make it even so
                    connection.exec_driver_sql(f"create schema {SCHEMA}")
                config = Config()
                # Alembic interpolates its options, so that a "%" in the path has to be doubled.
                config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                for view in views():
                    connection.exec_driver_sql(view.replace("%", "%%"))
                connection.exec_driver_sql(grants().replace("%", "%%"))
                connection.exec_driver_sql(_STORE_METADATA, {"key": "views", "value": str(view_versions.CURRENT)})
        except sqlalchemy.exc.DBAPIError as error:
            raise self._not_migrated(error.orig or error) from None

    def _migrating_connection(self) -> Connection:
        """A connection for SQLAlchemy, which begins and ends its transaction and closes it."""
        connection = self._new_connection(_NAME)
        connection.execute(statement("session/settings"))
        connection.autocommit = False
        return connection

    def _not_migrated(self, error: BaseException) -> errors.WarehouseError:
        message = self.address.redacted(_first_line(error))
        failure = failures.of_use(error, self.address) if isinstance(error, psycopg.Error) else None
        if isinstance(failure, errors.DatabaseUnavailable):
            return errors.DatabaseUnavailable(
                f"{self.safe_url}: the schema could not be migrated this time, nothing was changed: {message}"
            )
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            message += "; whoever owns the schema migrates it with openai-costs prepare"
        return errors.DatabaseRefused(f"{self.safe_url}: the schema cannot be migrated: {message}")


_SCRIPTS = Path(__file__).with_name("migrations")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_SCRIPTS))


@cache
def _known_revisions() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


@cache
def _head() -> str | None:
    return _scripts().get_current_head()


def _is_current(connection: Connection) -> bool:
    """Whether this release need not change the schema or the views. Raises SchemaNewer."""
    revision = _revision(connection)
    if revision is not None and revision not in _known_revisions():
        raise errors.SchemaNewer(
            f"the schema {SCHEMA} is at revision {revision}, which this release does not know: "
            "a newer release has migrated it; upgrade openai-costs-dagster on this machine"
        )
    return revision == _head() and view_versions.parse(_noted(connection, "views")) >= view_versions.CURRENT


def _revision(connection: Connection) -> str | None:
    exists = connection.execute(statement("session/schema_exists")).fetchone()
    if not exists or not exists[0]:
        return None
    row = connection.execute(_REVISION).fetchone()
    return str(row[0]) if row else None


def _has_namespace(connection: sqlalchemy.Connection, name: str) -> bool:
    return bool(connection.exec_driver_sql(_NAMESPACE_EXISTS, {"name": name}).scalar())


def _noted(connection: Connection, key: str) -> str | None:
    row = connection.execute(_FIND_METADATA, {"key": key}).fetchone()
    return str(row[0]) if row else None


def _first_line(error: BaseException) -> str:
    lines: list[Any] = str(error).strip().splitlines()
    return str(lines[0]) if lines else type(error).__name__
