"""Fills the warehouse and the Dagster storage with the history of many organizations: cost rows and asset events.

Run `openai-costs exec python -m benchmarks.scale.history ORGANIZATIONS DAYS ROWS` after `openai-costs prepare`.
"""

from __future__ import annotations

import sys

import dagster as dg
import psycopg
from psycopg import sql

from benchmarks.scale.filling import Size, fill
from openai_costs_dagster.configuration import load
from openai_costs_dagster.configuration.settings import DEFAULT_PREFIX
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.orchestration import database_access

_TEMPLATE = "org0001"  # The events of this organization are copied for all others.
_UNPARTITIONED, *_DAILY = "directory", "costs", "usage", "allocated_costs"

_COPY_EVENTS = sql.SQL("""
insert into event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
select
    run_id, replace(replace(event, %(template)s, name), %(template_day)s, day), dagster_event_type, timestamp, step_key,
    replace(asset_key, %(template)s, name), case when partition is not null then day end
from event_logs, unnest(%(names)s::text[]) as name, unnest(%(days)s::text[]) as day
where asset_key is not null and (name, day) <> (%(template)s, %(template_day)s)
    and (partition is not null or day = %(template_day)s)
""")
_COPY_ASSETS = sql.SQL("""
insert into asset_keys (asset_key, last_materialization, last_run_id, last_materialization_timestamp, create_timestamp)
select
    replace(asset_key, %(template)s, name), replace(last_materialization, %(template)s, name), last_run_id,
    last_materialization_timestamp, create_timestamp
from asset_keys, unnest(%(names)s::text[]) as name
where name <> %(template)s
""")


def main() -> None:
    """Store costs until yesterday, and Dagster events until today, so that no partition is missing before the tick."""
    organizations, days, rows = map(int, sys.argv[1:])
    size = Size(organizations, days, rows)
    database = database_access.database(load())
    with psycopg.connect(database.url, autocommit=True) as connection:
        fill(connection, size)
    options = "-c search_path=openai_costs_dagster"
    with psycopg.connect(database.url, options=options, autocommit=True) as connection:
        _store_events(connection, size)


def _store_events(connection: psycopg.Connection, size: Size) -> None:
    last = size.first + size.days * ONE_DAY
    with dg.DagsterInstance.get() as dagster:
        for asset in (_UNPARTITIONED, *_DAILY):
            key = dg.AssetKey([*DEFAULT_PREFIX, _TEMPLATE, asset])
            partition = None if asset == _UNPARTITIONED else str(last)
            dagster.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
    values = {
        "template": _TEMPLATE,
        "template_day": str(last),
        "names": [f"org{number:04}" for number in range(1, size.organizations + 1)],
        "days": [str(size.first + number * ONE_DAY) for number in range(size.days + 1)],
    }
    for statement in (_COPY_EVENTS, _COPY_ASSETS):
        connection.execute(statement, values)
    _store_events_of_shared_assets(size)
    connection.execute("vacuum analyze event_logs")


def _store_events_of_shared_assets(size: Size) -> None:
    """Store events of the report and the FOCUS exports, which an established project has materialized before."""
    months = sorted({f"{size.first + number * ONE_DAY:%Y-%m-01}" for number in range(size.days + 1)})
    with dg.DagsterInstance.get() as dagster:
        for month in months:
            key = dg.AssetKey([*DEFAULT_PREFIX, "focus_export"])
            dagster.report_runless_asset_event(dg.AssetMaterialization(key, partition=month))
        dagster.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey([*DEFAULT_PREFIX, "spend_report"])))


if __name__ == "__main__":
    main()
