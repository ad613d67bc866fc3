"""When a cron expression comes next, in UTC."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.cron import next_tick


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 8 * * *", "2026-02-28T07:59", "2026-02-28T08:00"),
        ("0 8 * * *", "2026-02-28T08:00", "2026-03-01T08:00"),
        ("0 8 * * 1-5", "2026-02-27T09:00", "2026-03-02T08:00"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("*/15 * * * *", "2026-12-31T23:50", "2027-01-01T00:00"),
        ("0 0 * * 7", "2026-11-21T00:00", "2026-11-22T00:00"),
        ("0 0 13 * 5", "2026-11-21T00:00", "2026-11-27T00:00"),
    ],
)
def test_the_next_tick(cron: str, after: str, expected: str) -> None:
    moments = [dt.datetime.fromisoformat(f"{one}+00:00") for one in (after, expected)]
    assert next_tick(cron, moments[0]) == moments[1]


@given(st.datetimes(timezones=st.just(dt.UTC)).filter(lambda moment: 1990 < moment.year < 2090))
def test_a_tick_is_later_and_less_than_a_day_away_where_it_comes_daily(after: dt.datetime) -> None:
    assert dt.timedelta(0) < next_tick("30 1 * * *", after) - after <= dt.timedelta(days=1)
