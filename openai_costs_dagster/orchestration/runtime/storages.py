"""Dagster's storages in Postgres, with their connections kept open and what was looked up remembered.

Dagster opens a connection for every statement, and looks at the catalog for tables and columns that migrations of years
ago have added (docs/decisions/0005-dagster-storage.md). These are Dagster's own storages otherwise, put in place by
`dagster.yaml`, which is how Dagster lets storages be exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import Connection, Engine, text
from typing_extensions import override

from openai_costs_dagster.orchestration.runtime.pooled_engine import engine_of
from openai_costs_dagster.orchestration.runtime.storage_session import session_of

_KNOW_NEW_EVENTS = """
alter table event_logs set (autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000)
"""


class _Memory:
    """What was seen in a catalog stays there: no migration of Dagster's takes a table or a column away."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def has(self, name: str, look: Callable[[], bool]) -> bool:
        """Whether something is there; looks until it is."""
        if name not in self._seen and look():
            self._seen.add(name)
        return name in self._seen


class _Kept:
    """What all three have in common; stands before Dagster's own class."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        self._memory = _Memory()
        self._session = session_of(postgres_url)
        url = self._session.url.render_as_string(hide_password=False)
        super().__init__(url, should_autocreate_tables, inst_data)  # type: ignore[call-arg]
        self._engine = engine_of(postgres_url)

    @property
    def _engine(self) -> Engine:
        return self._engine_in_use

    @_engine.setter
    def _engine(self, engine: Engine) -> None:
        """Dagster's classes make engines of their own, at the beginning and for the webserver."""
        self._session.listen(engine)
        self._engine_in_use = engine

    def dispose(self) -> None:
        """Closes what is idle with the instance."""
        super().dispose()  # type: ignore[misc]
        self._engine.dispose()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Made by Dagster from `dagster.yaml`."""
        return cls(pg_url_from_config(config_value), config_value.get("should_autocreate_tables", True), inst_data)


class RunStorage(_Kept, PostgresRunStorage):
    """`PostgresRunStorage` on the connections that all storages of a process share."""

    @override
    def has_run_stats_index_cols(self) -> bool:
        return self._memory.has("run stats", super().has_run_stats_index_cols)

    @override
    def has_bulk_actions_selector_cols(self) -> bool:
        return self._memory.has("selectors", super().has_bulk_actions_selector_cols)

    @override
    def has_backfill_id_column(self) -> bool:
        return self._memory.has("backfill", super().has_backfill_id_column)

    @override
    def has_bulk_action_job_name_column(self) -> bool:
        return self._memory.has("job name", super().has_bulk_action_job_name_column)

    @override
    def has_backfill_tags_table(self) -> bool:
        return self._memory.has("backfill tags", super().has_backfill_tags_table)


class ScheduleStorage(_Kept, PostgresScheduleStorage):
    """`PostgresScheduleStorage` on the connections that all storages of a process share."""

    @override
    def _has_instigators_table(self, conn: Connection) -> bool:
        return self._memory.has("instigators", lambda: super(ScheduleStorage, self)._has_instigators_table(conn))

    @override
    def _has_asset_daemon_asset_evaluations_table(self, conn: Connection) -> bool:
        def look() -> bool:
            return super(ScheduleStorage, self)._has_asset_daemon_asset_evaluations_table(conn)

        return self._memory.has("evaluations", look)


class EventLogStorage(_Kept, PostgresEventLogStorage):
    """`PostgresEventLogStorage` on the connections that all storages of a process share."""

    @override
    def _init_db(self) -> None:
        """Makes the tables; events are counted anew after each 5,000, not after a tenth of all that there are.

        Dagster asks for an asset's events since an id. Where PostgreSQL believes that there are none, it reads all
        assets' events since: 93 ms instead of 0.2 in the middle of a morning of 1,000 organizations.
        """
        super()._init_db()
        with self._connect() as connection:
            connection.execute(text(_KNOW_NEW_EVENTS))

    @override
    def has_table(self, table_name: str) -> bool:
        return self._memory.has(f"table {table_name}", lambda: super(EventLogStorage, self).has_table(table_name))

    @override
    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        def look() -> bool:
            return super(EventLogStorage, self)._has_asset_key_col_on_connection(conn, column_name)

        return self._memory.has(f"column {column_name}", look)
