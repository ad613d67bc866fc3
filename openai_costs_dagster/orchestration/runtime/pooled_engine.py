"""Connections to Dagster's tables that are kept open and shared by all storages of a process."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

from sqlalchemy import Dialect, Engine, create_engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry

from openai_costs_dagster.orchestration.runtime.storage_session import session_of

_KEPT = 4  # connections; threads that need more open some for a while
_MOST_MORE = 20
_RECYCLE_AFTER = 1800  # seconds
_ASK_AFTER = 1.0  # seconds without use, after which a server may have gone away meanwhile

_lock = threading.Lock()
_engines: dict[str, Engine] = {}


def engine_of(url: str) -> Engine:
    """The engine of an address, of which a process has one; each statement is committed by itself, as Dagster has it.

    A connection that was idle is asked whether it still is one; asking each time took as long as the statements. Where
    it is none, all others are taken for dead as well. Disposing of it closes what is idle, whoever used it.
    """
    with _lock:
        if url not in _engines:
            _engines[url] = _engine(url)
        return _engines[url]


def _engine(url: str) -> Engine:
    configure = session_of(url)
    engine = create_engine(
        configure.url,
        isolation_level="AUTOCOMMIT",
        pool_size=_KEPT,
        max_overflow=_MOST_MORE,
        pool_recycle=_RECYCLE_AFTER,
    )
    configure.listen(engine)
    event.listen(engine, "checkin", _remember)
    event.listen(engine, "checkout", partial(_ask, engine.dialect))
    return engine


def _remember(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()


def _ask(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Raises InvalidatePoolError where the other end is gone: SQLAlchemy then opens another connection."""
    idle_since = record.info.get("idle_since")
    if idle_since is None or time.monotonic() - idle_since < _ASK_AFTER:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise exc.InvalidatePoolError from error
