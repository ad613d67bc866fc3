"""Tests of UTC days and ranges of days."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.days import ONE_DAY, DayRange, day_of_unix_midnight, unix_midnight, utc_midnight, utc_now

DAY = dt.date(2026, 3, 8)  # Daylight saving time begins in America on this day.
days = st.dates(dt.date(1970, 1, 1), dt.date(2100, 12, 31))
nearby = st.dates(dt.date(2026, 1, 1), dt.date(2026, 3, 31))


@pytest.fixture(params=["Pacific/Kiritimati", "America/Los_Angeles", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_day_begins_at_utc_midnight_in_any_time_zone() -> None:
    assert unix_midnight(DAY) == 1_772_928_000
    assert unix_midnight(DAY + ONE_DAY) - unix_midnight(DAY) == 86_400
    assert day_of_unix_midnight(1_772_928_000) == DAY
    assert utc_midnight(DAY).isoformat() == "2026-03-08T00:00:00+00:00"
    assert utc_now().utcoffset() == dt.timedelta(0)


@given(days)
def test_day_of_unix_midnight_inverts_unix_midnight(day: dt.date) -> None:
    assert day_of_unix_midnight(unix_midnight(day)) == day


@given(days, st.integers(1, 86_399))
def test_second_within_a_day_is_not_a_midnight(day: dt.date, seconds: int) -> None:
    assert day_of_unix_midnight(unix_midnight(day) + seconds) is None


@pytest.mark.parametrize("seconds", [1_772_928_000_000, -(10**15) // 86_400 * 86_400, 86_400 * 10**12])
def test_time_beyond_the_calendar_is_not_a_midnight(seconds: int) -> None:
    # Some proxies send milliseconds instead of seconds.
    assert day_of_unix_midnight(seconds) is None


@given(nearby, st.integers(0, 60))
def test_range_includes_both_ends_and_all_days_between(first: dt.date, more: int) -> None:
    whole = DayRange(first, first + more * ONE_DAY)
    assert len(whole) == len(list(whole)) == more + 1
    assert (min(whole), max(whole)) == (whole.first, whole.last)
    assert whole.first in whole
    assert whole.last in whole
    assert whole.first - ONE_DAY not in whole
    assert whole.last + ONE_DAY not in whole


def test_range_that_ends_before_it_starts_raises() -> None:
    with pytest.raises(ValueError, match="2026-03-07"):
        DayRange(DAY, DAY - ONE_DAY)


def test_range_of_one_day_is_written_as_that_day() -> None:
    assert str(DayRange(DAY, DAY)) == "2026-03-08"
    assert str(DayRange(DAY, DAY + ONE_DAY)) == "2026-03-08..2026-03-09"


@given(st.sets(nearby))
def test_covering_returns_exactly_the_days_in_the_fewest_ranges(some_days: set[dt.date]) -> None:
    ranges = DayRange.covering(some_days)
    assert [day for period in ranges for day in period] == sorted(some_days)
    assert all(left.last + ONE_DAY < right.first for left, right in itertools.pairwise(ranges))


@given(nearby, st.integers(0, 30), st.none() | nearby, st.none() | nearby)
def test_intersection_contains_exactly_the_shared_days(
    start: dt.date, more: int, first: dt.date | None, last: dt.date | None
) -> None:
    whole = DayRange(start, start + more * ONE_DAY)
    shared = whole.intersection(first, last)
    expected = [day for day in whole if (first is None or first <= day) and (last is None or day <= last)]
    assert (list(shared) if shared else []) == expected
