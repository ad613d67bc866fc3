"""Tests of the next and latest tick of a cron expression, in UTC."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.configuration.cron import latest_tick, next_tick


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
def test_next_tick_is_the_first_match_after_a_time(cron: str, after: str, expected: str) -> None:
    times = [dt.datetime.fromisoformat(f"{time}+00:00") for time in (after, expected)]
    assert next_tick(cron, times[0]) == times[1]


@given(st.datetimes(timezones=st.just(dt.UTC)).filter(lambda time: 1990 < time.year < 2090))
def test_next_tick_of_a_daily_schedule_is_within_one_day(after: dt.datetime) -> None:
    assert dt.timedelta(0) < next_tick("30 1 * * *", after) - after <= dt.timedelta(days=1)


CRONS = st.builds(
    "{} {} * * {}".format,
    st.sampled_from(["0", "59", "30", "*/20", "5,55"]),
    st.sampled_from(["0", "23", "1", "12", "*", "0,12"]),
    st.sampled_from(["*", "1-5", "7", "0,3"]),
)
TIMES = st.timedeltas(dt.timedelta(), dt.timedelta(days=36_500)).map(
    lambda past: dt.datetime(1990, 1, 1, tzinfo=dt.UTC) + past
)


@pytest.mark.parametrize(
    ("cron", "until", "expected"),
    [
        ("0 0 * * *", "2026-03-01T00:00", "2026-03-01T00:00"),
        ("0 0 * * *", "2026-03-01T23:59", "2026-03-01T00:00"),
        ("30 1 * * *", "2026-03-01T01:29", "2026-02-28T01:30"),
        ("0 0 29 2 *", "2103-01-01T00:00", "2096-02-29T00:00"),
    ],
)
def test_latest_tick_is_the_last_match_at_or_before_a_time(cron: str, until: str, expected: str) -> None:
    times = [dt.datetime.fromisoformat(f"{time}+00:00") for time in (until, expected)]
    assert latest_tick(cron, times[0]) == times[1]


@given(CRONS, TIMES)
def test_no_tick_lies_between_the_latest_and_the_next(cron: str, now: dt.datetime) -> None:
    latest = latest_tick(cron, now)
    assert latest <= now < next_tick(cron, now)
    assert next_tick(cron, latest) == next_tick(cron, now)
