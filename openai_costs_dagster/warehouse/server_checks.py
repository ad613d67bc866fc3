"""Checks the PostgreSQL server, the database and the user's privileges before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg
from psycopg.rows import TupleRow

from openai_costs_dagster.warehouse import errors, failures
from openai_costs_dagster.warehouse.statements import statement

OLDEST_SERVER = 15
# A connection pooler assigns its server sessions in turn, or the most recently used session first. Queries over two
# connections reveal both kinds of poolers within four rounds.
_ROUNDS = 4

Connection = psycopg.Connection[TupleRow]


def check_server(connection: Connection, another: Callable[[], AbstractContextManager[Connection]], safe: str) -> None:
    """Check the server's version, the encoding of the database, and whether a pooler shares sessions between clients.

    Changes no setting of the session, because another client of a pooler could get the same session. `another` opens a
    second connection to the same address. `safe` is the address without its password, for messages. Raises
    `DatabaseTooOld` for the version and `DatabaseRefused` for the encoding and the pooler.
    """
    version = connection.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise errors.DatabaseTooOld(f"PostgreSQL {version} is too old: {OLDEST_SERVER} or newer is needed")
    encoding, database = connection.info.parameter_status("server_encoding"), connection.info.dbname
    # OpenAI's API returns names with any Unicode characters, and only UTF-8 can store all of them.
    if encoding != "UTF8":
        raise errors.DatabaseRefused(
            f"{safe}: the database {database} has the encoding {encoding}; {failures.ENCODING_REMEDY}"
        )
    # If the process id from the protocol equals the result of `pg_backend_pid()`, the client is connected to the server
    # directly. A pooler reports another process id, and only then a second connection is needed for the check.
    if _backend(connection) != connection.info.backend_pid and _shares_sessions(connection, another):
        raise errors.DatabaseRefused(
            f"{safe}: a connection pooler such as PgBouncer shares sessions between its clients there, and locks and "
            "settings would get lost; use PostgreSQL's own address, or session pooling (pool_mode = session)"
        )


def check_privileges(connection: Connection, safe: str) -> None:
    """Check that this user may create the schema and store rows. Raises `DatabaseRefused` if not."""
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
    """Return whether a connection pooler shares sessions between its clients.

    This is so if two open connections use the same server process, or if one connection uses several server processes.
    """
    with another() as second:
        backends: tuple[set[int], set[int]] = (set(), set())
        for _ in range(_ROUNDS):
            backends[0].add(_backend(first))
            backends[1].add(_backend(second))
    return any(len(found) > 1 for found in backends) or not backends[0].isdisjoint(backends[1])


def _backend(connection: Connection) -> int:
    cursor = connection.execute(statement("session/backend_pid"))
    # The SQL file contains two statements. `nextset` skips the empty result of the first statement, `set local`.
    cursor.nextset()
    row = cursor.fetchone()
    return int(row[0]) if row else 0
