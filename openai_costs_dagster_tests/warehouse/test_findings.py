"""Tests that storing findings returns their ids, and that a second evaluation of the day keeps the ids."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.warehouse import anomalies
from openai_costs_dagster.warehouse.anomalies import Finding
from openai_costs_dagster.warehouse.database import Connection

from ..conftest import NOW

DAY = dt.date(2026, 3, 2)
OF_SEARCH = Finding(
    usage_date=DAY,
    series=SeriesKey("acme", project="search"),
    actual=Decimal(10),
    expected=Decimal(1),
    lower=Decimal(0),
    upper=Decimal(2),
    impact=Decimal(9),
    score=Decimal(5),
    direction="up",
    severity="low",
    reason="level",
    explanation="The spend rose.",
    worth_alerting=True,
)
OF_CHAT = replace(OF_SEARCH, series=SeriesKey("acme", project="chat"))


def store(connection: Connection, *found: Finding) -> list[int]:
    return anomalies.replace_findings(connection, "acme", [DAY], found, trigger="schedule", now=NOW)


def test_ids_have_the_order_of_the_findings_and_stay_the_same(connection: Connection) -> None:
    search, chat = store(connection, OF_SEARCH, OF_CHAT)
    stored = {finding.anomaly_id: finding.series for finding in anomalies.findings(connection, "acme")}
    assert stored == {search: OF_SEARCH.series, chat: OF_CHAT.series}
    assert store(connection, OF_CHAT, OF_SEARCH) == [chat, search]


def test_storing_no_findings_returns_no_ids(connection: Connection) -> None:
    assert store(connection) == []
