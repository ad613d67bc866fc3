"""Checks of the server, the database and the privileges, which run before the first write."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg
from psycopg.rows import TupleRow

from openai_costs_dagster.warehouse import errors, failures
from openai_costs_dagster.warehouse.statements import statement

OLDEST_SERVER = 15
_ROUNDS = 4  # Poolers assign idle servers round robin, or the most recently used server first. Four rounds detect both.

Connection = psycopg.Connection[TupleRow]


def check_server(connection: Connection, another: Callable[[], AbstractContextManager[Connection]], safe: str) -> None:
    """Check version, encoding and sessions. No setting is changed, because a pooler may share the session.

    `another` opens a second connection to the same address. `safe` is the address without its password, for messages.
    Raises `DatabaseTooOld` or `DatabaseRefused`.
    """
    version = connection.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise errors.DatabaseTooOld(f"PostgreSQL {version} is too old: {OLDEST_SERVER} or newer is needed")
    encoding, database = connection.info.parameter_status("server_encoding"), connection.info.dbname
    # Another encoding cannot store all characters of the names that the API returns.
    if encoding != "UTF8":
        raise errors.DatabaseRefused(
            f"{safe}: the database {database} has the encoding {encoding}; {failures.ENCODING_REMEDY}"
        )
    # A pooler reports a process id of its own, so a connection without a pooler needs no second connection.
    if _backend(connection) != connection.info.backend_pid and _shares_sessions(connection, another):
        raise errors.DatabaseRefused(
            f"{safe}: a connection pooler such as PgBouncer shares sessions between its clients there, and locks and "
            "settings would get lost; use PostgreSQL's own address, or session pooling (pool_mode = session)"
        )


def check_privileges(connection: Connection, safe: str) -> None:
    """Check the privileges for preparing the database and for loading. Raises `DatabaseRefused`."""
    user, database, is_standby, is_read_only, may_make_temporary, may_create = (
        connection.execute(statement("session/privileges")).fetchone() or (None,) * 6
    )
    reason = None
    if is_standby:
        reason = (
            "this server is a standby, which does not accept writes; use the primary's address, or all addresses with "
            "target_session_attrs=read-write"
        )
    elif is_read_only:
        reason = (
            "sessions of this user are read-only; set default_transaction_read_only to off for the role, the "
            "database or the server that sets it"
        )
    elif not may_make_temporary:
        reason = f'the user may not create temporary tables; GRANT TEMPORARY ON DATABASE "{database}" TO "{user}"'
    elif not may_create:
        reason = f'the user may not create schemas; GRANT CREATE ON DATABASE "{database}" TO "{user}"'
    if reason:
        raise errors.DatabaseRefused(f"{safe}: {reason}")


def _shares_sessions(first: Connection, another: Callable[[], AbstractContextManager[Connection]]) -> bool:
    """Return whether two open connections share a server process, or one connection uses several processes."""
    with another() as second:
        backends: tuple[set[int], set[int]] = (set(), set())
        for _ in range(_ROUNDS):
            backends[0].add(_backend(first))
            backends[1].add(_backend(second))
    return any(len(found) > 1 for found in backends) or not backends[0].isdisjoint(backends[1])


def _backend(connection: Connection) -> int:
    cursor = connection.execute(statement("session/backend_pid"))
    # The SQL file contains two statements, and the result of the first, `set local`, is skipped.
    cursor.nextset()
    row = cursor.fetchone()
    return int(row[0]) if row else 0
