"""Tests of alerts about late days: one when a due day is missing, and one when all late days are stored."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.configuration.cron import next_tick
from openai_costs_dagster.days import ONE_DAY, utc_midnight
from openai_costs_dagster.monitoring import late_days

from ..conftest import Configure
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days


def alerts(setup: SyncSetup) -> list[tuple[Any, ...]]:
    return setup.query("select event, title from openai_costs.outbox order by alert_id")


@pytest.mark.parametrize(
    ("now", "cron", "due"),
    [
        ("2026-03-01T04:29", "30 1 * * *", "2026-02-27"),
        ("2026-03-01T04:31", "30 1 * * *", "2026-02-28"),
        ("2028-03-01T12:00", "30 1 * * *", "2028-02-29"),
        ("2026-01-01T12:00", "30 1 * * *", "2025-12-31"),
        ("2026-03-01T12:00", "0 20 * * *", "2026-02-27"),
        ("2026-03-01T02:59", "0 0 * * *", "2026-02-27"),
        ("2026-03-01T03:00", "0 0 * * *", "2026-02-28"),
        ("2026-03-01T02:58", "59 23 * * *", "2026-02-26"),
        ("2026-03-01T02:59", "59 23 * * *", "2026-02-27"),
        ("2026-03-01T03:00", "*/15 * * * *", "2026-02-28"),
        ("2026-03-06T12:00", "0 0 * * 1", "2026-03-01"),
    ],
)
def test_day_is_due_three_hours_after_its_refresh(now: str, cron: str, due: str) -> None:
    assert str(late_days.latest_due_day(cron, dt.datetime.fromisoformat(f"{now}+00:00"))) == due


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    weekday=st.sampled_from(["*", "0", "1-5"]),
    passed=st.timedeltas(dt.timedelta(), dt.timedelta(days=3650)),
)
def test_latest_due_day_is_the_newest_day_past_its_grace_period(
    minute: int, hour: int, weekday: str, passed: dt.timedelta
) -> None:
    cron, now = f"{minute} {hour} * * {weekday}", dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + passed

    def is_due(day: dt.date) -> bool:
        end = utc_midnight(day + ONE_DAY)
        return next_tick(cron, end - dt.timedelta(microseconds=1)) + late_days.GRACE <= now

    due = late_days.latest_due_day(cron, now)
    assert is_due(due)
    assert not is_due(due + ONE_DAY)


def test_late_day_and_its_recovery_are_alerted_once(make_sync_setup: MakeSyncSetup, configure: Configure) -> None:
    setup = make_sync_setup()
    configuration = configure(setup.organization, database=setup.database)

    def check() -> dict[str, tuple[dt.date, bool]]:
        with setup.database.connect() as connection:
            return late_days.check_late_days(connection, configuration, setup.clock.now)

    assert check() == {}
    setup.clock.now = setup.clock.now.replace(hour=12)
    yesterday = setup.clock.today - ONE_DAY
    setup.ingest(days(yesterday - 3 * ONE_DAY, 3))
    setup.ingest([setup.clock.today])
    assert check() == {"acme": (yesterday, False)}
    check()
    assert alerts(setup) == [("failed", "acme: days are late")]
    setup.ingest([yesterday])
    assert check() == {"acme": (yesterday, True)}
    check()
    assert alerts(setup)[1:] == [("recovered", "acme: late days are stored")]


def test_day_stored_before_its_end_is_late(make_sync_setup: MakeSyncSetup, configure: Configure) -> None:
    setup = make_sync_setup()
    configuration = configure(setup.organization, database=setup.database)
    setup.clock.now = setup.clock.now.replace(hour=0, minute=5)
    day = setup.clock.today
    setup.ingest([day])
    setup.clock.now += dt.timedelta(days=1, hours=12)
    with setup.database.connect() as connection:
        assert late_days.check_late_days(connection, configuration, setup.clock.now) == {"acme": (day, False)}
    setup.ingest([day])
    with setup.database.connect() as connection:
        assert late_days.check_late_days(connection, configuration, setup.clock.now) == {"acme": (day, True)}
    assert [event for event, _ in alerts(setup)] == ["failed", "recovered"]


def test_late_days_of_a_failed_sync_have_no_alert_of_their_own(
    make_sync_setup: MakeSyncSetup, configure: Configure
) -> None:
    setup = make_sync_setup()
    configuration = configure(setup.organization, database=setup.database)
    setup.ingest(days(setup.clock.today - 3 * ONE_DAY, 4))
    setup.simulated.admin_key = "sk-admin-another"
    for _ in range(60):
        setup.clock.now += dt.timedelta(hours=1)
        setup.ingest([setup.clock.today], trigger="schedule")
        with setup.database.connect() as connection:
            late_days.check_late_days(connection, configuration, setup.clock.now)
    assert alerts(setup) == [("failed", "acme: its admin key does not work")]


def test_recovery_needs_all_late_days(make_sync_setup: MakeSyncSetup, configure: Configure) -> None:
    setup = make_sync_setup()
    configuration = configure(setup.organization, database=setup.database)
    first = setup.clock.today
    setup.ingest([first - ONE_DAY])
    setup.clock.now = dt.datetime.combine(first + 3 * ONE_DAY, dt.time(12), dt.UTC)

    def check() -> list[str]:
        with setup.database.connect() as connection:
            late_days.check_late_days(connection, configuration, setup.clock.now)
        return [event for event, _ in alerts(setup)]

    assert check() == ["failed"]
    setup.clock.now += ONE_DAY
    setup.ingest([first + 3 * ONE_DAY])
    assert check() == ["failed"]
    setup.ingest(days(first, 3))
    assert check() == ["failed", "recovered"]


@pytest.mark.parametrize("has_check", [True, False])
def test_alert_links_to_the_check_or_else_to_the_asset(
    make_sync_setup: MakeSyncSetup, configure: Configure, *, has_check: bool
) -> None:
    setup = make_sync_setup()
    checks = ("latest_day",) if has_check else ("budgets",)
    configuration = configure(setup.organization, database=setup.database, checks=checks)
    setup.ingest([setup.clock.today - 3 * ONE_DAY])
    with setup.database.connect() as connection:
        late_days.check_late_days(connection, configuration, setup.clock.now)
    ((page,),) = setup.query("select page from openai_costs.outbox")
    assert page.startswith("/assets/openai/acme/costs")
    assert ("checkDetail=latest_day" in page) is has_check
