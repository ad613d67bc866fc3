"""Tests of buckets that are not exactly one UTC day: their window is not stored, and the error names the bucket."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.usage import UsageRequest, ingest_usage
from openai_costs_dagster.usage_records import OPERATIONS
from openai_costs_dagster.warehouse.database import Database

from ..conftest import Clock
from ..row_server import COSTS, USAGE, Row, RowServer

DAY = dt.date(2026, 2, 3)
DAYS = [DAY, DAY + ONE_DAY, DAY + 2 * ONE_DAY]
_HOUR, _DAY = 3600, 86_400

Buckets = list[dict[str, Any]]


def move_bucket(number: int, *, start: float = 0, end: float = 0) -> Callable[[Buckets], Buckets]:
    """Return a change that moves the start and the end of one bucket by a number of seconds."""

    def change(buckets: Buckets) -> Buckets:
        bucket = buckets[number]
        changed = {**bucket, "start_time": bucket["start_time"] + start, "end_time": bucket["end_time"] + end}
        return [*buckets[:number], changed, *buckets[number + 1 :]]

    return change


def as_hours(buckets: Buckets) -> Buckets:
    first = buckets[0]["start_time"]
    starts = [first + number * _HOUR for number in range(len(buckets))]
    return [{**buckets[0], "start_time": start, "end_time": start + _HOUR} for start in starts]


def without_end(buckets: Buckets) -> Buckets:
    return [{name: value for name, value in bucket.items() if name != "end_time"} for bucket in buckets]


UNEXPECTED: dict[str, tuple[Callable[[Buckets], Buckets], str]] = {
    "hours": (as_hours, "covers 2026-02-03 00:00:00 to 2026-02-03 01:00:00, which is not one UTC day"),
    "an hour": (move_bucket(1, end=_HOUR - _DAY), "covers 2026-02-04 00:00:00 to 2026-02-04 01:00:00"),
    "two days": (move_bucket(1, end=_DAY), "covers 2026-02-04 00:00:00 to 2026-02-06 00:00:00"),
    "a shifted day": (
        move_bucket(1, start=_HOUR, end=_HOUR),
        "starts at 2026-02-04 01:00:00, which is not midnight UTC",
    ),
    "a late start": (move_bucket(2, start=1), "starts at 2026-02-05 00:00:01, which is not midnight UTC"),
    "half a second": (move_bucket(0, start=0.5), "starts at 2026-02-03 00:00:00.500000, which is not midnight UTC"),
    "a day twice": (
        lambda buckets: [buckets[0], buckets[0], *buckets[2:]],
        "expected the bucket of 2026-02-04, but received a bucket",
    ),
    "a day out of order": (
        lambda buckets: [buckets[1], buckets[0], buckets[2]],
        "but received a bucket that is for 2026-02-04",
    ),
    "a gap": (
        lambda buckets: [buckets[0], buckets[2]],
        "expected the bucket of 2026-02-04, but received a bucket that is for 2026-02-05",
    ),
    "two days without an end": (
        lambda buckets: without_end([buckets[0], buckets[2]]),
        "expected the bucket of 2026-02-04, but received a bucket that is for 2026-02-05",
    ),
    "a start at noon without an end": (
        lambda buckets: without_end(move_bucket(1, start=_DAY / 2)(buckets)),
        "starts at 2026-02-04 12:00:00, which is not midnight UTC",
    ),
}
EQUIVALENT: dict[str, Callable[[Buckets], Buckets]] = {
    "floats": lambda buckets: [
        {**bucket, "start_time": float(bucket["start_time"]), "end_time": float(bucket["end_time"])}
        for bucket in buckets
    ],
    "no end": without_end,
    "an end of null": lambda buckets: [{**bucket, "end_time": None} for bucket in buckets],
}


def cost(_: dt.date) -> list[Row]:
    return [{"project_id": "proj_a", "line_item": "gpt-5, output", "currency": "usd", "amount": "1.50"}]


def change_page(change: Callable[[Buckets], Buckets], path: str, *, grouped: bool | None = None) -> Any:
    """Return a page hook that changes the buckets of one path; `grouped` limits it to grouped or ungrouped costs."""

    def page(found: str, page: dict[str, Any]) -> dict[str, Any]:
        is_grouped = any(row.get("line_item") for bucket in page["data"] for row in bucket["results"])
        applies = found == path and len(page["data"]) == len(DAYS) and grouped in {None, is_grouped}
        return {**page, "data": change(page["data"])} if applies else page

    return page


@pytest.mark.parametrize("grouped", [True, False], ids=["grouped", "ungrouped"])
@pytest.mark.parametrize("name", UNEXPECTED)
def test_costs_with_an_unexpected_bucket_are_not_stored(
    database: Database, clock: Clock, tmp_path: Path, name: str, grouped: bool
) -> None:
    change, reason = UNEXPECTED[name]
    with RowServer(rows=cost, today=lambda: clock.today, page=change_page(change, COSTS, grouped=grouped)) as server:
        organization = server.organization(tmp_path, start_date=DAY)
        outcome = ingest_costs(CostsRequest(organization, database, DAYS, now=clock))
        requests = len(server.requests)
    assert list(outcome.failed) == DAYS
    assert {failure.permanent for failure in outcome.failed.values()} == {True}
    assert reason in outcome.message
    assert requests <= 4
    with database.connect() as connection:
        for table in ("cost_rows", "cost_days", "raw_buckets", "sync_windows"):
            assert connection.execute(f"select count(*) from openai_costs.{table}".encode()).fetchone() == (0,)  # noqa: S608


@pytest.mark.parametrize("name", EQUIVALENT)
def test_costs_with_timestamps_in_another_notation_are_stored(
    database: Database, clock: Clock, tmp_path: Path, name: str
) -> None:
    with RowServer(
        rows=cost,
        usage=lambda operation, _: [{"project_id": "p", "num_requests": 1}] if "search" in operation else [],
        today=lambda: clock.today,
        page=lambda _, page: {**page, "data": EQUIVALENT[name](page["data"])} if "data" in page else page,
    ) as server:
        organization = server.organization(tmp_path, start_date=DAY)
        assert not ingest_costs(CostsRequest(organization, database, DAYS, now=clock)).failed
        assert not ingest_usage(UsageRequest(organization, database, DAYS, now=clock)).failed
    with database.connect() as connection:
        assert connection.execute("select sum(amount) from openai_costs.daily_costs").fetchone() == (Decimal("4.5"),)
        assert connection.execute("select sum(num_requests) from openai_costs.daily_usage").fetchone() == (6,)


@pytest.mark.parametrize("operation", [item.name for item in OPERATIONS])
def test_usage_endpoint_with_an_unexpected_bucket_is_not_stored(
    database: Database, clock: Clock, tmp_path: Path, operation: str
) -> None:
    change, reason = UNEXPECTED["two days"]
    with RowServer(
        rows=cost,
        usage=lambda _operation, _day: [{"project_id": "proj_a", "num_model_requests": 1, "num_requests": 1}],
        today=lambda: clock.today,
        page=change_page(change, USAGE + operation),
    ) as server:
        organization = server.organization(tmp_path, start_date=DAY)
        outcome = ingest_usage(UsageRequest(organization, database, DAYS, now=clock))
    assert list(outcome.failed) == DAYS
    assert outcome.permanent
    assert operation in outcome.failed[DAY]
    assert reason in outcome.failed[DAY]
    with database.connect() as connection:
        stored = connection.execute("select distinct operation from openai_costs.usage_days").fetchall()
    assert {name for (name,) in stored} == {item.name for item in OPERATIONS} - {operation}


@pytest.mark.parametrize("name", UNEXPECTED)
def test_usage_with_an_unexpected_bucket_is_not_stored(
    database: Database, clock: Clock, tmp_path: Path, name: str
) -> None:
    change, reason = UNEXPECTED[name]
    with RowServer(rows=cost, today=lambda: clock.today, page=change_page(change, f"{USAGE}completions")) as server:
        organization = server.organization(tmp_path, start_date=DAY)
        outcome = ingest_usage(UsageRequest(organization, database, DAYS, now=clock))
    assert list(outcome.failed) == DAYS
    assert outcome.permanent
    assert reason in outcome.failed[DAY]
