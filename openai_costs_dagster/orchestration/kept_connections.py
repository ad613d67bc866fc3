"""Connections to Dagster's tables that are kept open and shared by all storages of a process."""

from __future__ import annotations

import time
from functools import cache, partial
from typing import Any

from sqlalchemy import Dialect, Engine, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry

_KEPT = 4  # connections; threads that need more open some for a while
_MOST_MORE = 20
_RECYCLE_AFTER = 1800  # seconds
_ASK_AFTER = 5.0  # seconds without use, after which a server may have gone away meanwhile


@cache
def engine_of(url: str) -> Engine:
    """The engine of an address, made once in a process; each statement is committed by itself, as Dagster has it.

    A connection that was idle is asked whether it still is one; asking each time took as long as the statements.
    """
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=_KEPT,
        max_overflow=_MOST_MORE,
        pool_recycle=_RECYCLE_AFTER,
    )
    event.listen(engine, "checkin", _remember)
    event.listen(engine, "checkout", partial(_ask, engine.dialect))
    return engine


def _remember(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()


def _ask(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Raises DisconnectionError where the other end is gone: SQLAlchemy then takes another connection."""
    idle_since = record.info.get("idle_since")
    if idle_since is None or time.monotonic() - idle_since < _ASK_AFTER:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise exc.DisconnectionError from error
