"""Classification of database failures as transient or permanent.

The SQLSTATE decides if there is one. If a server refuses a connection, libpq reports only a message in the language of
the server. In this case the response of the server to a ping decides.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import pq

from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.address import Address

_TRANSIENT_CLASSES = {"08", "40", "53", "57", "58"}
"""SQLSTATE classes of lost connections, deadlocks, exhausted resources, administrators' actions and system errors."""
_TRANSIENT_STATES = {
    "25P03",  # idle_in_transaction_session_timeout ended the session
    "25P04",  # transaction_timeout
    "55006",  # object in use
    "55P03",  # lock_timeout
}
_PERMANENT_CLASSES = {"0A", "22", "28", "3D", "54", "XX"}
"""SQLSTATE classes of unsupported features, invalid values, wrong credentials or databases, limits, corrupt data."""
_PERMANENT_STATES = {
    "25006",  # read-only transaction
    "42501",  # insufficient privilege
}

_REMEDIES = {
    "53100": "the disk of the PostgreSQL server is full: free space there, and the next run continues",
    "25006": (
        "the database does not accept writes: use the address of the primary server, or set "
        "default_transaction_read_only to off"
    ),
}
"""Conditions of the server that PostgreSQL reports by the name of a file or a statement, by SQLSTATE."""

_OVERLOADED = re.compile(
    r"too many (clients|connections)|connection slots are reserved|no more connections allowed"
    r"|pgbouncer cannot connect|server login failed|server_login_retry|query_wait_timeout"
    r"|session is (not )?read-only|server is (not )?in hot standby"
)
"""Temporary refusals: connection limits, a PgBouncer without its server, a failover."""
_MISCONFIGURED = re.compile(
    r"SSL(?! SYSCALL| error: unexpected eof)|sslmode|certificate|private key|\binvalid\b|service file"
    r"|definition of service|could not match"
    r"|no password supplied|authentication method|channel binding|GSSAPI encryption"
)
"""Errors of libpq about the address. They are always in English, because psycopg's wheels contain no translations."""
_NOISE = re.compile(r"^connection (failed|is bad): |\s*Is the server running [^?]*\?")

_NOT_RUNNING, _CHECK_URL = "is PostgreSQL running there?", "check DATABASE_URL"
ENCODING_REMEDY = "use a database made with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
_WITHOUT_CONVERSION = "MULE_INTERNAL"  # The only database encoding that PostgreSQL cannot convert to UTF8.


def of_connecting(error: psycopg.Error, address: Address, conninfo: str) -> errors.WarehouseError:
    """Return the error for a failed attempt to connect."""
    message = _NOISE.sub("", str(error))
    kind, hint = _refusal(error, message, conninfo)
    reason = f"{address.redacted(message)} ({hint})" if hint else address.redacted(message)
    return kind(f"PostgreSQL at {address.safe} cannot be used: {reason}")


def _refusal(error: psycopg.Error, message: str, conninfo: str) -> tuple[type[errors.WarehouseError], str | None]:
    if not isinstance(error, psycopg.OperationalError):  # psycopg itself refuses an invalid parameter.
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
    # The server accepts connections, so the refusal concerns this address or this user.
    if answer == pq.Ping.OK:
        return errors.DatabaseRefused, _CHECK_URL
    # A server that rejects the ping is running, and is about to start, stop or recover.
    return errors.DatabaseUnavailable, None if answer == pq.Ping.REJECT else _NOT_RUNNING


def of_use(error: psycopg.Error, address: Address) -> errors.WarehouseError | None:
    """Return the error for a failure of an open connection, or None for errors in statements, which are bugs."""
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
    """Return a message of PostgreSQL, with the condition and its remedy where the message alone is not clear."""
    remedy = _REMEDIES.get(state or "")
    return f"{message} ({remedy})" if remedy else message


def of_state(state: str | None) -> type[errors.DatabaseUnavailable | errors.DatabaseRefused] | None:
    """Return the error class for an SQLSTATE, or None for errors in statements and for no SQLSTATE."""
    if state is None:
        return None
    if state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES:
        return errors.DatabaseUnavailable
    return errors.DatabaseRefused if state[:2] in _PERMANENT_CLASSES or state in _PERMANENT_STATES else None
