"""Tests of refused queries: code and parameter identify a refusal, and a refusal never deletes stored rows."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.outcome import Outcome
from openai_costs_dagster.sync.usage import UsageOutcome, UsageRequest, ingest_usage
from openai_costs_dagster.warehouse.database import Database

from ..conftest import NOW, Clock
from ..row_server import COSTS, USAGE, Query, Refusal, Row, RowServer

TODAY = NOW.date()
YEAR_AGO = TODAY - 365 * ONE_DAY
LOOKBACK = "reporting_lookback_exceeded"

Respond = Callable[[str, Query], Refusal | None]
Sync = Callable[..., tuple[Outcome, UsageOutcome]]


def rows(_: dt.date) -> list[Row]:
    return [
        {"project_id": "proj_a", "user_id": "user-a", "api_key_id": "key_a", "currency": "usd", "amount": "1.00",
         "line_item": "gpt-5, output", "quantity": 5, "quantity_unit": "tokens"}
    ]  # fmt: skip


def usage(operation: str, _: dt.date) -> list[Row]:
    return [{"project_id": "proj_a", "model": "gpt-5", "num_model_requests": 1}] if operation == "completions" else []


def first_day(query: Query) -> dt.date:
    return dt.datetime.fromtimestamp(int(query["start_time"][0]), dt.UTC).date()


def refuse_before(message: str, earliest: dt.date = YEAR_AGO, **refusal: Any) -> Respond:
    """Return a response hook that refuses windows with a start before `earliest`."""

    def respond(path: str, query: Query) -> Refusal | None:
        is_refused = path.startswith((COSTS, USAGE)) and first_day(query) < earliest
        return Refusal(400, message, **{"param": "start_time", "code": LOOKBACK, **refusal}) if is_refused else None

    return respond


def refuse_api_keys(**refusal: Any) -> Respond:
    """Return a response hook that refuses queries grouped by API key."""

    def respond(_: str, query: Query) -> Refusal | None:
        return Refusal(400, "Unsupported.", **refusal) if "api_key_id" in query.get("group_by", []) else None

    return respond


@pytest.fixture
def sync(database: Database, clock: Clock, tmp_path: Path) -> Sync:
    """Return a function that synchronizes costs and usage from a server with the given response hook."""

    def sync(respond: Respond, first: dt.date, last: dt.date, **settings: Any) -> tuple[Outcome, UsageOutcome]:
        days = [first + number * ONE_DAY for number in range((last - first).days + 1)]
        with RowServer(rows=rows, usage=usage, today=lambda: clock.today, respond=respond) as server:
            organization = server.organization(tmp_path, **settings)
            costs = ingest_costs(CostsRequest(organization, database, days, now=clock))
            return costs, ingest_usage(UsageRequest(organization, database, days, now=clock))

    return sync


def stored(database: Database) -> tuple[dt.date, dt.date, Decimal]:
    with database.connect() as connection:
        query = "select min(usage_date), max(usage_date), sum(amount) from openai_costs.daily_costs"
        return connection.execute(query).fetchall()[0]


@pytest.mark.parametrize(
    "message",
    [
        "The requested start_time is too far back.",
        f"Earliest supported start date: {YEAR_AGO:%B %d, %Y}.",
        f"Earliest supported start date: {YEAR_AGO:%d %b %Y}.",
        f"Earliest supported start date: {YEAR_AGO.isoformat()}T00:00:00Z.",
        "Too far back \ud83d",
    ],
)
def test_year_is_stored_with_any_wording_of_the_lookback_refusal(sync: Sync, database: Database, message: str) -> None:
    costs, counted = sync(refuse_before(message), YEAR_AGO - 5 * ONE_DAY, TODAY)
    assert list(costs.failed) == [YEAR_AGO - number * ONE_DAY for number in range(5, 0, -1)]
    assert costs.outside_retention == set(costs.failed)
    assert not counted.failed
    assert stored(database) == (YEAR_AGO, TODAY, Decimal(366))
    with database.connect() as connection:
        assert connection.execute("select earliest_day from openai_costs.organizations").fetchone() == (YEAR_AGO,)
        query = "select min(usage_date), count(*) from openai_costs.usage_days where operation = 'completions'"
        assert connection.execute(query).fetchone() == (YEAR_AGO, 366)


def test_year_that_is_one_day_shorter_is_stored_without_its_first_day(sync: Sync, database: Database) -> None:
    respond = refuse_before("Too far back.", YEAR_AGO + 2 * ONE_DAY)
    costs, counted = sync(respond, YEAR_AGO, YEAR_AGO + 9 * ONE_DAY)
    assert list(costs.failed) == [YEAR_AGO, YEAR_AGO + ONE_DAY]
    assert not counted.failed
    assert stored(database)[0] == YEAR_AGO + 2 * ONE_DAY


def test_unknown_refusal_of_the_probe_does_not_prevent_onboarding(sync: Sync, database: Database) -> None:
    costs, counted = sync(refuse_before("No.", code="something_new"), TODAY - 3 * ONE_DAY, TODAY)
    assert not costs.failed
    assert not counted.failed
    assert stored(database) == (TODAY - 3 * ONE_DAY, TODAY, Decimal(4))


@pytest.mark.parametrize("param", ["group_by", "group_by[]", "group_by[2]", "group_by.2", "group_by[0]"])
def test_grouping_refusal_is_recognized_by_any_form_of_its_parameter(
    sync: Sync, database: Database, param: str
) -> None:
    costs, _ = sync(refuse_api_keys(param=param, code="unsupported"), TODAY - 3 * ONE_DAY, TODAY)
    assert not costs.failed
    assert {report.grouping for report in costs.stored.values()} == {"project,user,line_item"}
    assert stored(database)[2] == 4


def test_refusal_on_the_second_page_is_handled_like_one_on_the_first(sync: Sync, database: Database) -> None:
    boundary = YEAR_AGO + ONE_DAY

    def respond(path: str, query: Query) -> Refusal | None:
        """Refuse the oldest day and one dimension of usage, but only on the second page."""
        if path == COSTS and query.get("page") and first_day(query) < boundary:
            return Refusal(400, "Too far back.", param="start_time", code=LOOKBACK)
        if path.startswith(USAGE) and query.get("page") and "service_tier" in query.get("group_by", []):
            return Refusal(400, "Unsupported.", param="group_by[5]")
        return None

    costs, counted = sync(respond, YEAR_AGO, TODAY, start_date=YEAR_AGO)
    assert list(costs.failed) == [YEAR_AGO]
    assert not counted.failed
    assert stored(database) == (boundary, TODAY, Decimal(365))


@pytest.mark.parametrize(
    "respond",
    [
        refuse_before("Too far back.", TODAY - 2 * ONE_DAY),
        refuse_before(f"Earliest supported start date: {TODAY - 2 * ONE_DAY}.", TODAY - 2 * ONE_DAY),
        refuse_api_keys(param="group_by[3]"),
        lambda path, _: (
            Refusal(400, "Something new.", "x", "something_new") if path.startswith((COSTS, USAGE)) else None
        ),
        lambda path, _: Refusal(403, "No.") if path.startswith((COSTS, USAGE)) else None,
    ],
    ids=["lookback without a date", "lookback", "grouping", "unknown", "forbidden"],
)
def test_refusal_deletes_no_stored_rows(sync: Sync, database: Database, respond: Respond) -> None:
    first = TODAY - 9 * ONE_DAY
    sync(lambda _path, _query: None, first, TODAY)
    before = stored(database)
    costs, counted = sync(respond, first, TODAY)
    assert stored(database) == before == (first, TODAY, Decimal(10))
    with database.connect() as connection:
        assert connection.execute("select sum(num_model_requests) from openai_costs.daily_usage").fetchone() == (10,)
    for failure in costs.failed.values():
        assert failure.permanent
    assert not counted.failed or counted.permanent


def test_unknown_refusal_is_permanent_with_the_message_of_the_api(sync: Sync) -> None:
    def respond(path: str, _: Query) -> Refusal | None:
        return Refusal(400, "Something new.", "x", "something_new") if path == COSTS else None

    costs, _ = sync(respond, TODAY - ONE_DAY, TODAY, start_date=TODAY - ONE_DAY)
    assert {failure.permanent for failure in costs.failed.values()} == {True}
    assert re.search("Something new", costs.message)
