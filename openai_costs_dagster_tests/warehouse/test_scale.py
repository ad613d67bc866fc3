"""Tests of the queries of the scale benchmark: their results, and the index use of queries for one organization."""

from __future__ import annotations

import datetime as dt

import psycopg

from benchmarks.scale.filling import Size, fill
from benchmarks.scale.queries import QUERIES, time_queries
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.warehouse.database import Database


def test_queries_at_scale_return_the_generated_data(database: Database) -> None:
    size = Size(organizations=40, days=12, rows=25)
    with psycopg.connect(database.url, autocommit=True) as connection:
        fill(connection, size)
        since = dt.datetime.now(dt.UTC).date() - 3 * ONE_DAY
        timings = {timing.query.name: timing for timing in time_queries(connection, "org0002", since)}
        stored = connection.execute("select count(*) from openai_costs.cost_rows").fetchone()
    assert stored == (size.total_rows,)
    assert set(timings) == {query.name for query in QUERIES}
    assert timings["every row of an organization's day"].rows == size.rows
    assert timings["how fresh every organization is"].rows == size.organizations
    assert timings["the month of all organizations by model"].rows == 8
    assert "Seq Scan of cost_rows" not in timings["every row of an organization's day"].reads
