"""One PostgreSQL database: connecting, and bringing the schema up to this release.

Accepts the URLs that people have in `DATABASE_URL` (``postgres://``, ``postgresql://``, with or without a driver).
"""

from __future__ import annotations

import re
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
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow

from openai_costs_dagster.redaction import redact
from openai_costs_dagster.warehouse import errors, view_versions
from openai_costs_dagster.warehouse.roles import grants
from openai_costs_dagster.warehouse.schema import SCHEMA
from openai_costs_dagster.warehouse.statements import statement, views

OLDEST_SERVER = 15
_CONNECT_TIMEOUT = 10  # seconds
_PASSWORD = re.compile(r"(?<=://)([^:@/]*):.*@|((?:password|sslpassword)=)[^&\s]+")

Connection = psycopg.Connection[TupleRow]


class Database:
    """A PostgreSQL database that holds the schema `openai_costs`; cheap to make, connects when used."""

    def __init__(self, url: str) -> None:
        self.url = normalised_url(url)

    def __repr__(self) -> str:
        return f"Database({self.safe_url!r})"

    @property
    def safe_url(self) -> str:
        """The address for people: without the password."""
        return _PASSWORD.sub(lambda found: f"{found[1]}:...@" if found[1] is not None else f"{found[2]}...", self.url)

    def _without_secrets(self, said: str) -> str:
        """A message of libpq, which repeats what it could not make sense of, without any part of the password."""
        parts = {part for found in _PASSWORD.finditer(self.url) for part in re.split(r"[:@/%&=]", found[0])}
        user = self.url.removeprefix("postgresql://").split(":")[0]
        return redact(said, sorted(parts - {user, "password", "sslpassword"}, key=len, reverse=True))

    @contextmanager
    def connect(self, *, name: str = "openai-costs") -> Iterator[Connection]:
        """A connection in autocommit, in UTC. `name` is what other sessions see of us.

        Raises DatabaseUnavailable, or DatabaseRefused where the server answered and refuses; the same for errors
        of the connection while it is used.
        """
        try:
            with psycopg.connect(
                self.url,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT,
                application_name=name[:63],
                options=self._options(),
            ) as connection:
                yield connection
        except (  # first, because psycopg counts some of them among the operational errors
            *errors.VALUE_ERRORS,
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.ReadOnlySqlTransaction,
        ) as error:
            raise errors.DatabaseRefused(f"{self.safe_url}: {self._without_secrets(_first_line(error))}") from None
        except psycopg.OperationalError as error:
            raise self._unavailable(error) from None

    def _options(self) -> str:
        try:
            given = str(conninfo_to_dict(self.url).get("options") or "")
        except psycopg.ProgrammingError as error:
            said = self._without_secrets(_first_line(error))
            raise errors.DatabaseRefused(f"the database URL cannot be read: {said}") from None
        return f"{given} -c timezone=UTC -c datestyle=ISO".strip()

    def _unavailable(self, error: psycopg.OperationalError) -> errors.WarehouseError:
        said = self._without_secrets(_first_line(error))
        refused = isinstance(error, psycopg.errors.InvalidAuthorizationSpecification) or any(
            words in said for words in ("password authentication failed", "no pg_hba.conf entry", "does not exist")
        )
        kind = errors.DatabaseRefused if refused else errors.DatabaseUnavailable
        hint = "check DATABASE_URL" if refused else "is PostgreSQL running there?"
        return kind(f"PostgreSQL at {self.safe_url} cannot be used: {said} ({hint})")

    def prepare(self) -> None:
        """Creates or migrates the schema and its views; only reads if both are current.

        Views of a newer release stay: it has added columns at most, or its schema would be newer as well.
        Safe with several processes at once: one migrates, the others wait. Raises a WarehouseError.
        """
        with self.connect() as connection:
            if connection.info.server_version < OLDEST_SERVER * 10_000:
                version = connection.info.server_version // 10_000
                raise errors.DatabaseTooOld(f"PostgreSQL {version} is too old: {OLDEST_SERVER} or newer is needed")
            if _is_current(connection):
                return
        self._migrate()

    def make_schema(self, name: str) -> None:
        """Makes a schema where there is none; one that is there may be someone else's. Raises a WarehouseError."""
        with self.connect() as connection, connection.transaction():
            connection.execute(statement("migration_lock"))  # two that make one at once fail, "if not exists" or not
            found = connection.execute(statement("has_namespace"), {"name": name}).fetchone()
            if not (found and found[0]):
                connection.execute(f"create schema if not exists {name}")

    def grant(self) -> None:
        """Gives the roles of docs/security.md what they need of what there is now. Raises a WarehouseError."""
        with self.connect() as connection:
            connection.execute(grants())

    def _migrate(self) -> None:
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(self.url), poolclass=sqlalchemy.NullPool
        )
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement("migration_lock"))
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
                connection.exec_driver_sql(statement("note"), {"key": "views", "value": str(view_versions.CURRENT)})
        except sqlalchemy.exc.OperationalError as error:
            said = self._without_secrets(_first_line(error.orig or error))
            raise errors.DatabaseUnavailable(
                f"{self.safe_url} went away while the schema was migrated: {said}"
            ) from None
        except sqlalchemy.exc.DBAPIError as error:
            said = _first_line(error.orig or error)
            if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
                said += "; whoever owns the schema migrates it with openai-costs prepare"
            raise errors.DatabaseRefused(f"{self.safe_url}: the schema cannot be migrated: {said}") from None


def normalised_url(url: str) -> str:
    """The URL as libpq reads it: SQLAlchemy's drivers and the old ``postgres://`` are understood too.

    Raises DatabaseRefused for anything that is no PostgreSQL URL.
    """
    plain = re.sub(r"^postgres(ql)?(\+\w+)?://", "postgresql://", url.strip())
    if not plain.startswith("postgresql://"):
        raise errors.DatabaseRefused(
            "the database URL must look like postgresql://user:password@host:5432/database; "
            "what stands there now begins otherwise"
        )
    return plain


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
    exists = connection.execute(statement("has_schema")).fetchone()
    if not exists or not exists[0]:
        return None
    row = connection.execute(statement("revision")).fetchone()
    return str(row[0]) if row else None


def _has_namespace(connection: sqlalchemy.Connection, name: str) -> bool:
    return bool(connection.exec_driver_sql(statement("has_namespace"), {"name": name}).scalar())


def _noted(connection: Connection, key: str) -> str | None:
    row = connection.execute(statement("noted"), {"key": key}).fetchone()
    return str(row[0]) if row else None


def _first_line(error: BaseException) -> str:
    lines: list[Any] = str(error).strip().splitlines()
    return str(lines[0]) if lines else type(error).__name__
