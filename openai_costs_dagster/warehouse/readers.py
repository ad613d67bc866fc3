"""Creates readers, that is, database roles that may only read the views, and ends their long transactions."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence

import psycopg

from openai_costs_dagster.warehouse import errors, roles
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.statements import statement

LIMIT = dt.timedelta(seconds=60)
"""The longest time that a transaction of a reader may take. `roles/limits.sql` limits each statement to this time."""


_LONGEST_NAME = 63  # The maximum length of a role name in bytes. PostgreSQL would silently shorten a longer name.
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
    """Return the SQL script with which `add` creates the reader `name`.

    Raises `ReaderRefused` if PostgreSQL does not accept the name as the name of a role.
    """
    if not name or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        raise errors.ReaderRefused(f"the name of a reader has 1 to {_LONGEST_NAME} bytes of printable UTF-8: {name!r}")
    return roles.reader_script(name, organizations)


def add(database: Database, name: str, organizations: Sequence[str]) -> bool:
    """Create a reader (a database role that may only read the views), and return whether the role existed before.

    If this database restricts readers to organizations, the reader sees only the rows of `organizations`. Raises
    `ReaderRefused` if the role cannot become a reader, and `DatabaseRefused` if this user may not create roles. In both
    cases, nothing is changed.
    """
    text = script(name, organizations)
    with database.connect() as connection:
        existed = connection.execute(_EXISTS, {"name": name}).fetchone() == (True,)
        backend_pid = connection.execute("select pg_backend_pid()").fetchall()[0][0]
        try:
            # The script replaces the row level security policies of readers. PostgreSQL then waits for the open
            # transactions of other readers, so a long wait is logged.
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
    """Return whether the reader `name` sees no rows.

    This is so if the database restricts readers to organizations and no organization is granted to this reader.
    """
    with database.connect() as connection:
        if connection.execute(_RESTRICTS_READERS).fetchone() == (False,):
            return False
        return connection.execute(_HAS_ORGANIZATIONS, {"name": name}).fetchone() == (False,)


def end_long_transactions(connection: Connection, limit: dt.timedelta = LIMIT) -> dict[str, int]:
    """End all sessions of readers whose current transaction has lasted longer than `limit`.

    Returns the number of ended sessions by role. PostgreSQL lets the current role end the sessions only of roles of
    which it is a member, so sessions of other roles are not ended.
    """
    found = connection.execute(statement("session/end_long_transactions"), {"limit": limit}).fetchall()
    return dict(Counter(str(name) for (name,) in found))
