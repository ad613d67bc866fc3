"""Tells transient database failures from permanent ones.

By SQLSTATE wherever there is one. A server that refuses a connection gives libpq an SQLSTATE too, but libpq keeps only
its message, which is in the server's language; there, the server's answer to a ping decides.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import pq

from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.address import Address

_TRANSIENT_CLASSES = {"08", "40", "53", "57", "58"}
"""Lost connections, deadlocks, exhausted resources, an administrator's intervention, errors of the machine."""
_TRANSIENT_STATES = {
    "25P03",  # idle_in_transaction_session_timeout
    "25P04",  # transaction_timeout
    "55006",  # object in use
    "55P03",  # lock_timeout
}
_PERMANENT_CLASSES = {"0A", "22", "28", "3D", "54", "XX"}
"""Unsupported features, impossible values, wrong logins and databases, limits of PostgreSQL, damaged data."""
_PERMANENT_STATES = {
    "25006",  # read-only transaction
    "42501",  # insufficient privilege
}

_OVERLOADED = re.compile(
    r"too many (clients|connections)|connection slots are reserved|no more connections allowed"
    r"|pgbouncer cannot connect|server login failed|server_login_retry|query_wait_timeout"
    r"|session is (not )?read-only|server is (not )?in hot standby"
)
"""Refusals that pass by themselves: limits of connections, PgBouncer without its server, a failover under way."""
_MISCONFIGURED = re.compile(
    r"SSL(?! SYSCALL| error: unexpected eof)|sslmode|certificate|private key|\binvalid\b|service file"
    r"|definition of service|could not match"
    r"|no password supplied|authentication method|channel binding|GSSAPI encryption"
)
"""What libpq itself finds wrong with the address, in English always: wheels of psycopg hold no translations."""
_NOISE = re.compile(r"^connection (failed|is bad): |\s*Is the server running [^?]*\?")

_NOT_RUNNING, _CHECK_URL = "is PostgreSQL running there?", "check DATABASE_URL"
ENCODING_REMEDY = "use a database made with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
_WITHOUT_CONVERSION = "MULE_INTERNAL"  # the only encoding of a database that no client reads as UTF8


def of_connecting(error: psycopg.Error, address: Address, conninfo: str) -> errors.WarehouseError:
    """The failure of a connection that could not be made."""
    message = _NOISE.sub("", str(error))
    kind, hint = _refusal(error, message, conninfo)
    reason = f"{address.redacted(message)} ({hint})" if hint else address.redacted(message)
    return kind(f"PostgreSQL at {address.safe} cannot be used: {reason}")


def _refusal(error: psycopg.Error, message: str, conninfo: str) -> tuple[type[errors.WarehouseError], str | None]:
    if not isinstance(error, psycopg.OperationalError):  # psycopg reads some parameters itself
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
    if answer == pq.Ping.OK:
        return errors.DatabaseRefused, _CHECK_URL
    return errors.DatabaseUnavailable, None if answer == pq.Ping.REJECT else _NOT_RUNNING


def of_use(error: psycopg.Error, address: Address) -> errors.WarehouseError | None:
    """The failure of a connection in use; None for errors of our own statements, which are defects."""
    message = address.redacted(error.diag.message_primary or str(error))
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):  # the connection was lost
        kind: type[errors.WarehouseError] | None = errors.DatabaseUnavailable
    elif error.sqlstate is None and isinstance(error, psycopg.DataError):  # psycopg itself refused a value
        kind = errors.DatabaseRefused
    else:
        kind = of_state(error.sqlstate)
    return None if kind is None else kind(f"PostgreSQL at {address.safe} cannot be used: {message}")


def of_state(state: str | None) -> type[errors.DatabaseUnavailable | errors.DatabaseRefused] | None:
    """The class of failure of an SQLSTATE; None for defects of statements and where there is none."""
    if state is None:
        return None
    if state[:2] in _TRANSIENT_CLASSES or state in _TRANSIENT_STATES:
        return errors.DatabaseUnavailable
    return errors.DatabaseRefused if state[:2] in _PERMANENT_CLASSES or state in _PERMANENT_STATES else None
