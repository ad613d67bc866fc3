"""Readers: database roles that may read the views. The daemon ends their transactions that take too long."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence

import psycopg

from openai_costs_dagster.warehouse import errors, roles
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.statements import statement

LIMIT = dt.timedelta(seconds=60)
"""The longest transaction of a reader. `roles/limits.sql` sets the same limit for each statement."""


_LONGEST_NAME = 63  # bytes; PostgreSQL would silently shorten a longer name
_EXISTS = "select exists (select from pg_roles where rolname = %(name)s)"
_RESTRICTS_READERS = "select to_regclass('openai_costs.reader_organizations') is not null"
_HAS_ORGANIZATIONS = """
select exists (
    select
    from openai_costs.reader_organizations as granted
    join pg_roles as role on granted.reader = role.rolname
    where pg_has_role(%(name)s, role.oid, 'usage')
)
"""


def script(name: str, organizations: Sequence[str]) -> str:
    """Return the SQL that `add` executes. Raises `ReaderRefused` if PostgreSQL does not accept the name."""
    if not name or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise errors.ReaderRefused(f"the name of a reader has 1 to {_LONGEST_NAME} bytes of printable UTF-8: {name!r}")
    return roles.reader_script(name, organizations)


def add(database: Database, name: str, organizations: Sequence[str]) -> bool:
    """Create a reader, and return whether its role had existed before.

    `organizations` are the names whose rows the reader sees, if the readers of this database are restricted to their
    organizations. Raises `ReaderRefused` or `DatabaseRefused`, with nothing changed.
    """
    text = script(name, organizations)
    with database.connect() as connection:
        existed = connection.execute(_EXISTS, {"name": name}).fetchone() == (True,)
        backend_pid = connection.execute("select pg_backend_pid()").fetchall()[0][0]
        try:
            # The script replaces the policies of readers, which waits for open transactions of other readers.
            with database.reporting_waits(backend_pid, "the script of the reader"):
                connection.execute(text)
        except psycopg.errors.InsufficientPrivilege as error:
            raise errors.DatabaseRefused(
                f"{database.safe_url}: {error.diag.message_primary}: set DATABASE_URL to the address of an "
                "administrator, or pass the output of the same command with --sql to an administrator's psql"
            ) from None
        except (psycopg.errors.RaiseException, psycopg.errors.ReservedName) as error:
            raise errors.ReaderRefused(f"{error.diag.message_primary}") from None
    return existed


def sees_nothing(database: Database, name: str) -> bool:
    """Return whether the database restricts readers to their organizations and this reader has none."""
    with database.connect() as connection:
        if connection.execute(_RESTRICTS_READERS).fetchone() == (False,):
            return False
        return connection.execute(_HAS_ORGANIZATIONS, {"name": name}).fetchone() == (False,)


def end_long_transactions(connection: Connection, limit: dt.timedelta = LIMIT) -> dict[str, int]:
    """End the sessions of readers whose transaction takes longer than `limit`. Returns their number by role.

    PostgreSQL lets a role end the sessions only of roles of which it is a member, so other sessions stay.
    """
    found = connection.execute(statement("session/end_long_transactions"), {"limit": limit}).fetchall()
    return dict(Counter(str(name) for (name,) in found))
