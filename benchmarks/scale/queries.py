"""Typical queries of the views, for one organization or for all organizations, with their duration and query plan."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

_EXECUTIONS = 5


@dataclass(frozen=True)
class Query:
    """A query with the parameters `organization` and `since`."""

    name: str
    sql: str


@dataclass(frozen=True)
class QueryTiming:
    """The duration and the plan of a query."""

    query: Query
    seconds: float
    """The median duration of all executions except the first, in seconds."""
    first: float
    """The duration of the first execution, in seconds."""
    rows: int
    pages: int
    """The number of 8 kB pages that the query reads."""
    reads: list[str]
    """How the plan reads the large tables, for example ``Index Scan of cost_rows``."""


QUERIES = [
    Query(
        "an organization's month by project and model",
        "select project_id, model, sum(amount) from openai_costs.daily_costs"
        " where organization = %(organization)s and usage_date >= %(since)s group by 1, 2",
    ),
    Query(
        "an organization's month by user",
        "select user_id, sum(amount) from openai_costs.allocated_costs"
        " where organization = %(organization)s and usage_date >= %(since)s group by 1",
    ),
    Query(
        "every row of an organization's day",
        "select * from openai_costs.daily_costs where organization = %(organization)s and usage_date = %(since)s",
    ),
    Query(
        "an organization's year by day",
        "select usage_date, sum(amount) from openai_costs.daily_costs where organization = %(organization)s group by 1",
    ),
    Query(
        "an organization's month as FOCUS",
        'select count(*), sum("BilledCost") from openai_costs.focus where "x_Organization" = %(organization)s'
        ' and "x_UsageDate" >= %(since)s',
    ),
    Query("how fresh every organization is", "select * from openai_costs.sync_status"),
    Query(
        "what every organization cost this month",
        "select organization, sum(amount_usd) from openai_costs.day_status where usage_date >= %(since)s group by 1",
    ),
    Query(
        "the month of all organizations by model",
        "select model, sum(amount) from openai_costs.daily_costs where usage_date >= %(since)s group by 1",
    ),
    Query(
        "one project's month, its organization not named",
        "select sum(amount) from openai_costs.daily_costs where project_id = 'proj_1' and usage_date >= %(since)s",
    ),
]


def time_queries(connection: psycopg.Connection, organization: str, since: object) -> Iterator[QueryTiming]:
    """Execute each query several times, and then once with `explain analyze`."""
    values = {"organization": organization, "since": since}
    for query in QUERIES:
        executions = [_execute(connection, query, values) for _ in range(_EXECUTIONS)]
        plan = _plan(connection, query, values)
        yield QueryTiming(
            query,
            statistics.median(seconds for seconds, _ in executions[1:]),
            executions[0][0],
            executions[0][1],
            plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
            sorted(set(_reads(plan))),
        )


def _execute(connection: psycopg.Connection, query: Query, values: dict[str, Any]) -> tuple[float, int]:
    started_at = time.perf_counter()
    rows = connection.execute(query.sql.encode(), values).fetchall()
    return time.perf_counter() - started_at, len(rows)


def _plan(connection: psycopg.Connection, query: Query, values: dict[str, Any]) -> dict[str, Any]:
    row = connection.execute(f"explain (analyze, buffers, format json) {query.sql}".encode(), values).fetchone()
    text = row[0] if row else "[]"
    plan: dict[str, Any] = (json.loads(text) if isinstance(text, str) else text)[0]["Plan"]
    return plan


def _reads(plan: dict[str, Any]) -> Iterator[str]:
    if plan.get("Relation Name") in {"cost_rows", "cost_days", "allocations", "usage_rows"}:
        yield f"{plan['Node Type']} of {plan['Relation Name']}"
    if plan.get("Node Type") == "Bitmap Index Scan":
        yield f"{plan['Node Type']} on {plan['Index Name']}"
    for part in plan.get("Plans", []):
        yield from _reads(part)
