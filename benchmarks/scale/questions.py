"""Typical queries of the views, for one organization or for all of them, with their time and query plan."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

_TIMES = 5


@dataclass(frozen=True)
class Question:
    """A query with the parameters `organization` and `since`."""

    name: str
    sql: str


@dataclass(frozen=True)
class Answer:
    """The time and the plan of a query."""

    question: Question
    seconds: float
    """The median time of several executions, without the first one."""
    first: float
    rows: int
    pages: int
    """The number of 8 kB pages that the measured plan reads."""
    reads: list[str]
    """The access to the large tables, for example ``Index Scan of cost_rows``."""


QUESTIONS = [
    Question(
        "an organization's month by project and model",
        "select project_id, model, sum(amount) from openai_costs.daily_costs"
        " where organization = %(organization)s and usage_date >= %(since)s group by 1, 2",
    ),
    Question(
        "an organization's month by user",
        "select user_id, sum(amount) from openai_costs.allocated_costs"
        " where organization = %(organization)s and usage_date >= %(since)s group by 1",
    ),
    Question(
        "every row of an organization's day",
        "select * from openai_costs.daily_costs where organization = %(organization)s and usage_date = %(since)s",
    ),
    Question(
        "an organization's year by day",
        "select usage_date, sum(amount) from openai_costs.daily_costs where organization = %(organization)s group by 1",
    ),
    Question(
        "an organization's month as FOCUS",
        'select count(*), sum("BilledCost") from openai_costs.focus where "x_Organization" = %(organization)s'
        ' and "x_UsageDate" >= %(since)s',
    ),
    Question("how fresh every organization is", "select * from openai_costs.sync_status"),
    Question(
        "what every organization cost this month",
        "select organization, sum(amount_usd) from openai_costs.day_status where usage_date >= %(since)s group by 1",
    ),
    Question(
        "the month of all organizations by model",
        "select model, sum(amount) from openai_costs.daily_costs where usage_date >= %(since)s group by 1",
    ),
    Question(
        "one project's month, its organization not named",
        "select sum(amount) from openai_costs.daily_costs where project_id = 'proj_1' and usage_date >= %(since)s",
    ),
]


def answers(connection: psycopg.Connection, organization: str, since: object) -> Iterator[Answer]:
    """Execute each query several times, then once with its plan."""
    values = {"organization": organization, "since": since}
    for question in QUESTIONS:
        taken = [_once(connection, question, values) for _ in range(_TIMES)]
        plan = _plan(connection, question, values)
        yield Answer(
            question,
            statistics.median(seconds for seconds, _ in taken[1:]),
            taken[0][0],
            taken[0][1],
            plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
            sorted(set(_reads(plan))),
        )


def _once(connection: psycopg.Connection, question: Question, values: dict[str, Any]) -> tuple[float, int]:
    begun = time.perf_counter()
    rows = connection.execute(question.sql.encode(), values).fetchall()
    return time.perf_counter() - begun, len(rows)


def _plan(connection: psycopg.Connection, question: Question, values: dict[str, Any]) -> dict[str, Any]:
    row = connection.execute(f"explain (analyze, buffers, format json) {question.sql}".encode(), values).fetchone()
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
