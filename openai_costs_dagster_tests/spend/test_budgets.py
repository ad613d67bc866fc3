"""Tests of budget periods, status and threshold crossings."""

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


def complete_to(day: dt.date) -> KnownDays:
    """Return a `KnownDays` in which all days up to and including `day` are complete."""
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
def test_period_is_a_calendar_period(day: str, period: Period, first: str, last: str) -> None:
    found = period_of(dt.date.fromisoformat(day), period)
    assert (str(found.first), str(found.last)) == (first, last)


_kinds: st.SearchStrategy[Period] = st.sampled_from(["month", "quarter", "year"])


@given(st.dates(dt.date(2020, 1, 1), dt.date(2040, 1, 1)), _kinds)
def test_next_period_starts_on_the_day_after(day: dt.date, period: Period) -> None:
    found = period_of(day, period)
    assert day in found
    assert period_of(found.last + ONE_DAY, period).first == found.last + ONE_DAY
    assert periods_of(found, period) == [found]


def test_threshold_is_crossed_on_the_day_that_reached_it() -> None:
    spend = every_day(10, FEBRUARY)
    status = budget_status(spend, FEBRUARY, complete_to(dt.date(2028, 3, 5)))
    assert status.spent == 290
    assert crossings(spend, status, Decimal(290), SHARES) == [
        Crossing(Decimal("0.5"), dt.date(2028, 2, 15), is_forecast=False),
        Crossing(Decimal("0.8"), dt.date(2028, 2, 24), is_forecast=False),
        Crossing(Decimal(1), dt.date(2028, 2, 29), is_forecast=False),
    ]


def test_threshold_reached_by_the_forecast_is_a_forecast_crossing() -> None:
    spend = every_day(10, DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10)))
    status = budget_status(spend, FEBRUARY, complete_to(dt.date(2028, 2, 10)))
    assert status.forecast
    assert status.forecast.low <= status.forecast.expected == 290 <= status.forecast.high
    found = [(crossing.share, crossing.is_forecast) for crossing in crossings(spend, status, Decimal(200), SHARES)]
    assert found == [(Decimal("0.5"), False), (Decimal("0.8"), True), (Decimal(1), True)]


def test_credit_below_the_threshold_removes_the_crossing() -> None:
    days = list(FEBRUARY)
    spend = {days[0]: Decimal(60), days[1]: Decimal(-30), days[5]: Decimal(25)}
    status = budget_status(spend, FEBRUARY, complete_to(dt.date(2028, 3, 1)))
    assert crossings(spend, status, Decimal(100), SHARES) == [Crossing(Decimal("0.5"), days[5], is_forecast=False)]


def test_unfinished_day_counts_with_its_amount_so_far() -> None:
    today = dt.date(2028, 2, 11)
    spend = every_day(10, DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10))) | {today: Decimal(900)}
    status = budget_status(spend, FEBRUARY, KnownDays(today, today - ONE_DAY))
    assert status.spent == 1000
    assert status.forecast
    assert status.forecast.low >= 1000


def test_future_period_has_zero_spend_and_a_forecast() -> None:
    spend = every_day(10, DayRange(dt.date(2027, 12, 1), dt.date(2028, 1, 31)))
    status = budget_status(spend, FEBRUARY, complete_to(dt.date(2028, 1, 31)))
    assert status.spent == 0
    assert status.known_to is None
    assert status.forecast
    assert status.forecast.expected == 290
    assert crossings(spend, status, Decimal(100), SHARES) == []


def test_zero_budget_is_crossed_by_the_first_spend() -> None:
    days = list(FEBRUARY)
    status = budget_status({}, FEBRUARY, complete_to(days[3]))
    assert crossings({}, status, Decimal(0), (Decimal(1),)) == []
    spend = {days[2]: Decimal(1)}
    status = budget_status(spend, FEBRUARY, complete_to(days[3]))
    assert crossings(spend, status, Decimal(0), (Decimal(1),))[0] == Crossing(Decimal(1), days[2], is_forecast=False)


def test_missing_days_are_forecast_at_the_average() -> None:
    known = every_day(10, DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10)))
    unknown = [dt.date(2028, 2, 11) + number * ONE_DAY for number in range(8)]
    later = {dt.date(2028, 2, 19): Decimal(10)}
    status = budget_status(known | later, FEBRUARY, KnownDays(dt.date(2028, 2, 19), dt.date(2028, 2, 19), unknown))
    assert status.spent == 110
    assert status.forecast
    assert status.forecast.expected == 290


def test_complete_days_without_spend_lower_the_forecast() -> None:
    spend = every_day(100, DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10)))
    silent = budget_status(spend, FEBRUARY, complete_to(dt.date(2028, 2, 20)))
    unread = budget_status(spend, FEBRUARY, complete_to(dt.date(2028, 2, 10)))
    assert silent.forecast
    assert unread.forecast
    assert silent.spent == unread.spent == 1000
    assert silent.forecast.expected < 1200
    assert unread.forecast.expected == 2900


def test_unfinished_day_does_not_lower_the_forecast() -> None:
    until = dt.date(2028, 2, 10)
    spend = every_day(100, DayRange(dt.date(2027, 12, 1), until)) | {until + ONE_DAY: Decimal(4)}
    status = budget_status(spend, FEBRUARY, KnownDays(until + ONE_DAY, until))
    assert status.spent == 1004
    assert status.known_to == until + ONE_DAY
    assert status.forecast
    assert status.forecast.expected == 2900


def test_incomplete_day_above_average_raises_the_forecast() -> None:
    days = DayRange(dt.date(2027, 12, 1), dt.date(2028, 2, 10))
    incomplete = dt.date(2028, 2, 5)
    for amount, expected in ((4, 2900), (500, 3300)):
        spend = every_day(100, days) | {incomplete: Decimal(amount)}
        status = budget_status(spend, FEBRUARY, KnownDays(days.last, days.last, {incomplete}))
        assert status.spent == 900 + amount
        assert status.forecast
        assert abs(status.forecast.expected - expected) < 150


def test_no_complete_day_means_no_forecast() -> None:
    today = dt.date(2028, 2, 11)
    status = budget_status({today: Decimal(5)}, FEBRUARY, KnownDays(today, None))
    assert status.spent == 5
    assert status.forecast is None
