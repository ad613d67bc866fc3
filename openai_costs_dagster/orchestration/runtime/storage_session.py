"""Settings of the database sessions of Dagster's storages, applied after connecting.

Some connection poolers drop the startup options of a connection. Without these options, Dagster would create its tables
in the schema `public`.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy import URL, Engine, event, exc, make_url

from openai_costs_dagster.redaction import redact
from openai_costs_dagster.warehouse import failures
from openai_costs_dagster.warehouse.address import CONNECTION_DEFAULTS
from openai_costs_dagster.warehouse.errors import DatabaseUnavailable, WarehouseError
from openai_costs_dagster.warehouse.statements import statement

_SET_LATER = re.compile(r"\s*-c\s*(search_path|synchronous_commit|timezone)=(\S+)")
_ROLE_DEFAULT = "set search_path to default"


class StorageSession:
    """The URL of Dagster's storage without its startup options, and the settings that replace these options."""

    def __init__(self, address: str) -> None:
        url = make_url(address)
        options = str(url.query.get("options") or "")
        self._settings = dict(_SET_LATER.findall(options))
        rest = _SET_LATER.sub("", options).strip()
        query = {**CONNECTION_DEFAULTS, "client_encoding": "UTF8", **url.query}
        query.pop("options", None)
        self.url: URL = url.set(query={**query, "options": rest} if rest else query)

    def listen(self, engine: Engine) -> None:
        """Apply the settings to each new connection of an engine, before SQLAlchemy uses the connection."""
        if not event.contains(engine, "connect", self._configure):
            event.listen(engine, "connect", self._configure, insert=True)

    def _configure(self, connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement("session/settings"))
            cursor.execute(_ROLE_DEFAULT)
            for name, value in self._settings.items():
                cursor.execute("select set_config(%s, %s, false)", (name, value))
        connection.commit()


@cache
def session_of(address: str) -> StorageSession:
    """Return the session settings for a database URL. Each process creates one object per URL."""
    return StorageSession(address)


def storage_failure(error: BaseException) -> WarehouseError | None:
    """Return the database failure that caused an error of Dagster's storage, or None for any other error."""
    cause = error.__cause__ if isinstance(error, DagsterPostgresException) else error
    if not isinstance(cause, exc.DBAPIError) or cause.orig is None:
        return None
    state = getattr(cause.orig, "pgcode", None)
    is_lost = state is None and isinstance(cause, exc.OperationalError)
    kind = DatabaseUnavailable if is_lost else failures.of_state(state)
    if kind is None:
        return None
    lines = str(cause.orig).strip().splitlines()
    message = redact(lines[0] if lines else type(cause.orig).__name__)
    return kind(f"Dagster's tables cannot be used: {failures.explained(message, state)}")
