"""Fills both storages with the history of many organizations: a year of costs, and its events in Dagster's tables.

`openai-costs exec python -m benchmarks.scale.past ORGANIZATIONS DAYS ROWS`, in the environment of a prepared workplace.
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

_PATTERN = "org0001"  # whose events are copied
_WHOLE, *_BY_DAY = "directory", "costs", "usage", "allocated_costs"

_COPY_EVENTS = sql.SQL("""
insert into event_logs (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
select
    run_id, replace(replace(event, %(pattern)s, name), %(pattern_day)s, day), dagster_event_type, timestamp, step_key,
    replace(asset_key, %(pattern)s, name), case when partition is not null then day end
from event_logs, unnest(%(names)s::text[]) as name, unnest(%(days)s::text[]) as day
where asset_key is not null and (name, day) <> (%(pattern)s, %(pattern_day)s)
    and (partition is not null or day = %(pattern_day)s)
""")
_COPY_ASSETS = sql.SQL("""
insert into asset_keys (asset_key, last_materialization, last_run_id, last_materialization_timestamp, create_timestamp)
select
    replace(asset_key, %(pattern)s, name), replace(last_materialization, %(pattern)s, name), last_run_id,
    last_materialization_timestamp, create_timestamp
from asset_keys, unnest(%(names)s::text[]) as name
where name <> %(pattern)s
""")


def main() -> None:
    """Fill both storages: costs until yesterday, and Dagster's events until today, so that no day is missing."""
    organizations, days, rows = map(int, sys.argv[1:])
    size = Size(organizations, days, rows)
    database = database_access.database(load())
    with psycopg.connect(database.url, autocommit=True) as connection:
        fill(connection, size)
    path = "-c search_path=openai_costs_dagster"
    with psycopg.connect(database.url, options=path, autocommit=True) as connection:
        _remember(connection, size)


def _remember(connection: psycopg.Connection, size: Size) -> None:
    last = size.first + size.days * ONE_DAY
    with dg.DagsterInstance.get() as dagster:
        for asset in (_WHOLE, *_BY_DAY):
            key = dg.AssetKey([*DEFAULT_PREFIX, _PATTERN, asset])
            partition = None if asset == _WHOLE else str(last)
            dagster.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
    values = {
        "pattern": _PATTERN,
        "pattern_day": str(last),
        "names": [f"org{number:04}" for number in range(1, size.organizations + 1)],
        "days": [str(size.first + number * ONE_DAY) for number in range(size.days + 1)],
    }
    for statement in (_COPY_EVENTS, _COPY_ASSETS):
        connection.execute(statement, values)
    _remember_what_is_of_all(size)
    connection.execute("vacuum analyze event_logs")


def _remember_what_is_of_all(size: Size) -> None:
    """On an ordinary morning their first ones were made long ago."""
    months = sorted({f"{size.first + number * ONE_DAY:%Y-%m-01}" for number in range(size.days + 1)})
    with dg.DagsterInstance.get() as dagster:
        for month in months:
            key = dg.AssetKey([*DEFAULT_PREFIX, "focus_export"])
            dagster.report_runless_asset_event(dg.AssetMaterialization(key, partition=month))
        dagster.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey([*DEFAULT_PREFIX, "spend_report"])))


if __name__ == "__main__":
    main()
