"""Classifies database failures as transient (a retry may succeed) or permanent (a person has to act).

If an error has an SQLSTATE (PostgreSQL's error code), the SQLSTATE decides. If a server refuses a connection, libpq
reports only a message, which may be in any language. A ping of the server then shows whether it accepts connections.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import pq

from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.address import Address

_TRANSIENT_CLASSES = {"08", "40", "53", "57", "58"}
"""The SQLSTATE classes of failures after which a retry may succeed.

The classes mean, in this order: lost connection, deadlock, exhausted resource, action of an administrator, system
error.
"""
_TRANSIENT_STATES = {
    "25P03",  # The setting idle_in_transaction_session_timeout ended the session.
    "25P04",  # The setting transaction_timeout ended the transaction.
    "55006",  # Another session uses the object.
    "55P03",  # A lock was not available, for example within the setting lock_timeout.
}
_PERMANENT_CLASSES = {"0A", "22", "28", "3D", "54", "XX"}
"""The SQLSTATE classes of failures that a retry does not solve.

The classes mean, in this order: unsupported feature, invalid value, wrong credentials, wrong database, exceeded limit,
internal error or corrupt data.
"""
_PERMANENT_STATES = {
    "25006",  # The transaction is read-only, for example on a standby server.
    "42501",  # The user lacks a privilege.
}

_REMEDIES = {
    "53100": "the disk of the PostgreSQL server is full: free space there, and the next run continues",
    "25006": (
        "the database does not accept writes: use the address of the primary server, or set "
        "default_transaction_read_only to off"
    ),
}
"""The remedy that is added to a message of PostgreSQL, by SQLSTATE.

PostgreSQL's own messages for these errors name only a file or a statement, which does not show the cause.
"""

_OVERLOADED = re.compile(
    r"too many (clients|connections)|connection slots are reserved|no more connections allowed"
    r"|pgbouncer cannot connect|server login failed|server_login_retry|query_wait_timeout"
    r"|session is (not )?read-only|server is (not )?in hot standby"
)
"""Messages of temporary refusals: too many connections, a PgBouncer that cannot reach its server, or a failover."""
_MISCONFIGURED = re.compile(
    r"SSL(?! SYSCALL| error: unexpected eof)|sslmode|certificate|private key|\binvalid\b|service file"
    r"|definition of service|could not match"
    r"|no password supplied|authentication method|channel binding|GSSAPI encryption"
)
"""Messages of libpq about a wrong address or wrong certificates.

English patterns suffice, because psycopg's binary packages contain no translations of libpq's messages.
"""
_NOISE = re.compile(r"^connection (failed|is bad): |\s*Is the server running [^?]*\?")

_NOT_RUNNING, _CHECK_URL = "is PostgreSQL running there?", "check DATABASE_URL"
ENCODING_REMEDY = "use a database made with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
# PostgreSQL cannot convert this database encoding to UTF8, so a database with this encoding cannot be used.
_WITHOUT_CONVERSION = "MULE_INTERNAL"


def of_connecting(error: psycopg.Error, address: Address, conninfo: str) -> errors.WarehouseError:
    """Return the error to raise after an attempt to connect has failed: transient, or permanent with a remedy."""
    message = _NOISE.sub("", str(error))
    kind, hint = _refusal(error, message, conninfo)
    reason = f"{address.redacted(message)} ({hint})" if hint else address.redacted(message)
    return kind(f"PostgreSQL at {address.safe} cannot be used: {reason}")


def _refusal(error: psycopg.Error, message: str, conninfo: str) -> tuple[type[errors.WarehouseError], str | None]:
    # psycopg raises other errors than OperationalError only if it refuses a parameter of the address itself.
    if not isinstance(error, psycopg.OperationalError):
        return errors.DatabaseRefused, _CHECK_URL
    if _WITHOUT_CONVERSION in message:
        return errors.DatabaseRefused, ENCODING_REMEDY
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return errors.DatabaseUnavailable, _NOT_RUNNING
    if _OVERLOADED.search(message):
        return errors.DatabaseUnavailable, None
    if _MISCONFIGURED.search(message):
        return errors.DatabaseRefused, _CHECK_URL
    answer = pq.PGconn.ping(conninfo.encode())
    # The ping shows that the server accepts connections. It refused this connection because of its user, password or
    # database, so a retry does not help.
    if answer == pq.Ping.OK:
        return errors.DatabaseRefused, _CHECK_URL
    # A server that rejects the ping is running, but is just starting, stopping or recovering, so a retry may succeed.
    return errors.DatabaseUnavailable, None if answer == pq.Ping.REJECT else _NOT_RUNNING


def of_use(error: psycopg.Error, address: Address) -> errors.WarehouseError | None:
    """Return the error to raise after a failure on an open connection.

    Returns None if the SQL statement itself is wrong. Such an error is a bug, so the caller raises psycopg's error.
    """
    message = address.redacted(" ".join((error.diag.message_primary or str(error)).split()))
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):  # A lost connection has no SQLSTATE.
        kind: type[errors.WarehouseError] | None = errors.DatabaseUnavailable
    # psycopg raises a `DataError` without SQLSTATE for a value that it cannot send. A retry with the same value would
    # fail again, so the failure is permanent.
    elif error.sqlstate is None and isinstance(error, psycopg.DataError):
        kind = errors.DatabaseRefused
    else:
        kind = of_state(error.sqlstate)
    return (
        None
        if kind is None
        else kind(f"PostgreSQL at {address.safe} cannot be used: {explained(message, error.sqlstate)}")
    )


def explained(message: str, state: str | None) -> str:
    """Return a message of PostgreSQL, followed by the cause and remedy if the SQLSTATE `state` is in `_REMEDIES`."""
    remedy = _REMEDIES.get(state or "")
    return f"{message} ({remedy})" if remedy else message


def of_state(state: str | None) -> type[errors.DatabaseUnavailable | errors.DatabaseRefused] | None:
    """Return the error class for an SQLSTATE: transient or permanent.

    Returns None if `state` is None, or if the SQL statement itself is wrong.
    """
    if state is None:
        return None
    if state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES:
        return errors.DatabaseUnavailable
    return errors.DatabaseRefused if state[:2] in _PERMANENT_CLASSES or state in _PERMANENT_STATES else None
