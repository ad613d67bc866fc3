"""Days that should be here and are not are told once, and told again when they are."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.orchestration import arrivals

from ..conftest import Configure
from .bench import Bench, days
from .conftest import MakeBench


def told(work: Bench) -> list[tuple[Any, ...]]:
    return work.ask("select event, title from openai_costs.outbox order by alert_id")


@pytest.mark.parametrize(
    ("now", "cron", "due"),
    [
        ("2026-03-01T04:29", "30 1 * * *", "2026-02-27"),
        ("2026-03-01T04:31", "30 1 * * *", "2026-02-28"),
        ("2028-03-01T12:00", "30 1 * * *", "2028-02-29"),
        ("2026-01-01T12:00", "30 1 * * *", "2025-12-31"),
        ("2026-03-01T12:00", "0 20 * * *", "2026-02-27"),
    ],
)
def test_a_day_is_due_three_hours_after_its_refresh(now: str, cron: str, due: str) -> None:
    assert str(arrivals.latest_due(cron, dt.datetime.fromisoformat(f"{now}+00:00"))) == due


def test_a_day_that_is_missing_is_told_once_and_its_arrival_once(bench: MakeBench, configure: Configure) -> None:
    work = bench()
    configuration = configure(work.organization, database=work.database)

    def look() -> dict[str, tuple[dt.date, bool]]:
        with work.database.connect() as connection:
            return arrivals.look(connection, configuration, work.clock.now)

    assert look() == {}
    work.clock.now = work.clock.now.replace(hour=12)
    yesterday = work.clock.today - ONE_DAY
    work.read(days(yesterday - 3 * ONE_DAY, 3))
    work.read([work.clock.today])
    assert look() == {"acme": (yesterday, False)}
    look()
    assert told(work) == [("failed", "acme: days stopped arriving")]
    work.read([yesterday])
    assert look() == {"acme": (yesterday, True)}
    look()
    assert told(work)[1:] == [("recovered", "acme: days arrive again")]
