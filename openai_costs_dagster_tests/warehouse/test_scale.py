"""Test that the queries of the scale benchmark run, and that queries by organization use an index."""

from __future__ import annotations

import datetime as dt

import psycopg

from benchmarks.scale.filling import Size, fill
from benchmarks.scale.questions import QUESTIONS, answers
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.warehouse.database import Database


def test_queries_at_scale_return_the_generated_data(database: Database) -> None:
    size = Size(organizations=40, days=12, rows=25)
    with psycopg.connect(database.url, autocommit=True) as connection:
        fill(connection, size)
        since = dt.datetime.now(dt.UTC).date() - 3 * ONE_DAY
        found = {one.question.name: one for one in answers(connection, "org0002", since)}
        stored = connection.execute("select count(*) from openai_costs.cost_rows").fetchone()
    assert stored == (size.all_rows,)
    assert set(found) == {question.name for question in QUESTIONS}
    assert found["every row of an organization's day"].rows == size.rows
    assert found["how fresh every organization is"].rows == size.organizations
    assert found["the month of all organizations by model"].rows == 8
    assert "Seq Scan of cost_rows" not in found["every row of an organization's day"].reads
