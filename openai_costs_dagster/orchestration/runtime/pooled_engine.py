"""A pool of database connections that Dagster's three storages share in each process.

Dagster's own storages open a new connection for every statement.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

from sqlalchemy import Dialect, Engine, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry

from openai_costs_dagster.orchestration.runtime.storage_session import session_of

_POOL_SIZE = 4  # connections that stay open when they are idle
_MAX_OVERFLOW = 20  # connections beyond the pool size; they are closed when they return to the pool
_RECYCLE_AFTER_S = 1800
_PING_AFTER_IDLE_S = 1.0

_lock = threading.Lock()
_engines: dict[str, Engine] = {}


def engine_of(url: str) -> Engine:
    """Return the SQLAlchemy engine for a database URL. Each process has one engine per URL.

    Each statement is committed on its own, as in Dagster's own storages. `engine.dispose()` closes the idle
    connections.
    """
    with _lock:
        if url not in _engines:
            _engines[url] = _create_engine(url)
        return _engines[url]


def _create_engine(url: str) -> Engine:
    session = session_of(url)
    engine = create_engine(
        session.url,
        isolation_level="AUTOCOMMIT",
        pool_size=_POOL_SIZE,
        max_overflow=_MAX_OVERFLOW,
        pool_recycle=_RECYCLE_AFTER_S,
    )
    session.listen(engine)
    event.listen(engine, "checkin", _record_idle_since)
    # The option `pool_pre_ping` of SQLAlchemy would ping before each use, which takes as long as the statement itself.
    event.listen(engine, "checkout", partial(_ping_if_idle, engine.dialect))
    return engine


def _record_idle_since(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()


def _ping_if_idle(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Ping a connection that has been idle, because the server may have closed it.

    Raises `InvalidatePoolError` if the ping fails. SQLAlchemy then replaces all connections of the pool.
    """
    idle_since = record.info.get("idle_since")
    if idle_since is None or time.monotonic() - idle_since < _PING_AFTER_IDLE_S:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise exc.InvalidatePoolError from error
