"""Tests of synchronization if a response of the API is larger than the limit for one response."""

from __future__ import annotations

import datetime as dt

import pytest

from openai_costs_dagster.days import ONE_DAY

from ..row_server import RowServer
from ..served_organization import Serve, cost
from ..sync_setup import days

FIRST = dt.date(2026, 1, 10)
WANTED = days(FIRST, 20)


@pytest.mark.parametrize("number", [0, 7, 19])
def test_day_that_is_too_large_fails_alone(serve: Serve, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr("openai_costs_dagster.api.client._MAX_RESPONSE_BYTES", 30_000)
    large = WANTED[number]
    served = serve(
        RowServer(
            rows=lambda _: [cost("1.25")],
            result=lambda day, row: {**row, "padding": "x" * (40_000 if day == large else 500)},
        )
    )
    outcome = served.ingest(WANTED)
    assert list(outcome.failed) == [large]
    assert outcome.failed[large].permanent
    assert outcome.failed[large].kind == "ResponseTooLarge"
    assert outcome.message.startswith(f"{large}: {large}: the response of 127.0.0.1 is larger than ")
    assert list(outcome.stored) == [day for day in WANTED if day != large]
    assert served.query("select sum(amount), count(*) from openai_costs.daily_costs") == [(19 * 1.25, 19)]


def test_days_that_are_all_too_large_need_few_requests(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai_costs_dagster.api.client._MAX_RESPONSE_BYTES", 30_000)
    served = serve(
        RowServer(rows=lambda _: [cost("1.25")], result=lambda _, row: {**row, "padding": "x" * 40_000}),
        start_date=FIRST - ONE_DAY,
    )
    outcome = served.ingest(days(FIRST, 25))
    assert list(outcome.failed) == days(FIRST, 25)
    assert outcome.stored == {}
    assert outcome.requests < 40
