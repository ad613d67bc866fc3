"""Periods are UTC calendar periods; a share is crossed on the day that reached it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.spend.budgets import (
    Crossing,
    KnownDays,
    Period,
    budget_status,
    crossings,
    period_of,
    periods_of,
)

FEBRUARY = DayRange(dt.date(2028, 2, 1), dt.date(2028, 2, 29))
SHARES = (Decimal("0.5"), Decimal("0.8"), Decimal(1))


def every_day(amount: int, days: DayRange) -> dict[dt.date, Decimal]:
    return dict.fromkeys(days, Decimal(amount))


def read_to(day: dt.date) -> KnownDays:
    """All days to this one were read after their end."""
    return KnownDays(day, day)


@pytest.mark.parametrize(
    ("day", "period", "first", "last"),
    [
        ("2028-02-29", "month", "2028-02-01", "2028-02-29"),
        ("2027-02-28", "month", "2027-02-01", "2027-02-28"),
        ("2026-12-31", "month", "2026-12-01", "2026-12-31"),
        ("2027-01-01", "quarter", "2027-01-01", "2027-03-31"),
        ("2026-12-31", "quarter", "2026-10-01", "2026-12-31"),
        ("2028-02-29", "year", "2028-01-01", "2028-12-31"),
    ],
)
def test_a_period_is_a_calendar_period(day: str, period: Period, first: str, last: str) -> None:
    found = period_of(dt.date.fromisoformat(day), period)
    assert (str(found.first), str(found.last)) == (first, last)


_kinds: st.SearchStrategy[Period] = st.sampled_from(["month", "quarter", "year"])


@given(st.dates(dt.date(2020, 1, 1), dt.date(2040, 1, 1)), _kinds)
def test_the_day_after_a_period_begins_the_next_one(day: dt.date, period: Period) -> None:
    found = period_of(day, period)
    assert day in found
    assert period_of(found.last + ONE_DAY, period).first == found.last + ONE_DAY
    assert periods_of(found, period) == [found]


def test_a_share_is_crossed_on_the_day_that_reached_it() -> None:
    spend = every_day(10, FEBRUARY)
    at = budget_status(spend, FEBRUARY, read_to(dt.date(2028, 3, 5)))
    assert at.spent == 290
    assert crossings(spend, at, Decimal(290), SHARES) == [
        Crossing(Decimal("0.5"), dt.date(2028, 2, 15), is_forecast=False),
        Crossing(Decimal("0.8"), dt.date(2028, 2, 24), is_forecast=False),
        Crossing(Decimal(1), dt.date(2028, 2, 29), is_forecast=False),
    ]


def test_what_the_forecast_reaches_is_told_as_a_forecast() -> None:
    spend = every_day(10, DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10)))
    at = budget_status(spend, FEBRUARY, read_to(dt.date(2028, 2, 10)))
    assert at.forecast
    assert at.forecast.low <= at.forecast.expected == 290 <= at.forecast.high
    found = [(one.share, one.is_forecast) for one in crossings(spend, at, Decimal(200), SHARES)]
    assert found == [(Decimal("0.5"), False), (Decimal("0.8"), True), (Decimal(1), True)]


def test_credits_that_bring_spend_below_a_share_take_the_crossing_back() -> None:
    days = list(FEBRUARY)
    spend = {days[0]: Decimal(60), days[1]: Decimal(-30), days[5]: Decimal(25)}
    at = budget_status(spend, FEBRUARY, read_to(dt.date(2028, 3, 1)))
    assert crossings(spend, at, Decimal(100), SHARES) == [Crossing(Decimal("0.5"), days[5], is_forecast=False)]


def test_today_counts_with_what_it_cost_so_far() -> None:
    today = dt.date(2028, 2, 11)
    spend = every_day(10, DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10))) | {today: Decimal(900)}
    at = budget_status(spend, FEBRUARY, KnownDays(today, today - ONE_DAY))
    assert at.spent == 1000
    assert at.forecast
    assert at.forecast.low >= 1000


def test_a_period_that_has_not_begun_stands_at_nothing_and_is_forecast() -> None:
    spend = every_day(10, DayRange(dt.date(2027, 12, 1), dt.date(2028, 1, 31)))
    at = budget_status(spend, FEBRUARY, read_to(dt.date(2028, 1, 31)))
    assert at.spent == 0
    assert at.known_to is None
    assert at.forecast
    assert at.forecast.expected == 290
    assert crossings(spend, at, Decimal(100), SHARES) == []


def test_a_budget_of_nothing_is_crossed_by_the_first_spend_and_not_before() -> None:
    days = list(FEBRUARY)
    at = budget_status({}, FEBRUARY, read_to(days[3]))
    assert crossings({}, at, Decimal(0), (Decimal(1),)) == []
    spend = {days[2]: Decimal(1)}
    at = budget_status(spend, FEBRUARY, read_to(days[3]))
    assert crossings(spend, at, Decimal(0), (Decimal(1),))[0] == Crossing(Decimal(1), days[2], is_forecast=False)


def test_days_that_are_not_known_are_not_spent_and_not_forecast_as_free() -> None:
    known = every_day(10, DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10)))
    unknown = [dt.date(2028, 2, 11) + number * ONE_DAY for number in range(8)]
    later = {dt.date(2028, 2, 19): Decimal(10)}
    at = budget_status(known | later, FEBRUARY, KnownDays(dt.date(2028, 2, 19), dt.date(2028, 2, 19), unknown))
    assert at.spent == 110
    assert at.forecast
    assert at.forecast.expected == 290


def test_last_days_without_spend_are_known_and_lower_the_forecast() -> None:
    spend = every_day(100, DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10)))
    silent = budget_status(spend, FEBRUARY, read_to(dt.date(2028, 2, 20)))
    unread = budget_status(spend, FEBRUARY, read_to(dt.date(2028, 2, 10)))
    assert silent.forecast
    assert unread.forecast
    assert silent.spent == unread.spent == 1000
    assert silent.forecast.expected < 1200
    assert unread.forecast.expected == 2900


def test_a_day_that_was_read_before_its_end_is_forecast_and_not_taken_for_a_cheap_day() -> None:
    until = dt.date(2028, 2, 10)
    spend = every_day(100, DayRange(dt.date(2027, 12, 1), until)) | {until + ONE_DAY: Decimal(4)}
    at = budget_status(spend, FEBRUARY, KnownDays(until + ONE_DAY, until))
    assert at.spent == 1004
    assert at.known_to == until + ONE_DAY
    assert at.forecast
    assert at.forecast.expected == 2900


def test_an_incomplete_day_counts_what_it_cost_so_far_where_that_is_more_than_usual() -> None:
    days = DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10))
    incomplete = dt.date(2028, 2, 5)
    for amount, expected in ((4, 2900), (500, 3300)):
        spend = every_day(100, days) | {incomplete: Decimal(amount)}
        at = budget_status(spend, FEBRUARY, KnownDays(days.last, days.last, {incomplete}))
        assert at.spent == 900 + amount
        assert at.forecast
        assert abs(at.forecast.expected - expected) < 150


def test_nothing_that_is_complete_means_no_forecast() -> None:
    today = dt.date(2028, 2, 11)
    at = budget_status({today: Decimal(5)}, FEBRUARY, KnownDays(today, None))
    assert at.spent == 5
    assert at.forecast is None
