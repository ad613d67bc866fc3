"""The forecast is the month so far and the average of four weeks for each day that is left."""

from __future__ import annotations

import calendar
import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.spend.run_rate import month_end

_TODAY = dt.date(2026, 3, 11)
_dates = st.dates(dt.date(2024, 1, 1), dt.date(2030, 12, 31))


def every_day(today: dt.date, amount: Decimal | int, days: int = 60) -> dict[dt.date, Decimal]:
    """Finished days before `today`."""
    return {today - number * ONE_DAY: Decimal(amount) for number in range(1, days + 1)}


@given(_dates)
def test_even_spend_is_forecast_as_one_day_times_the_days_of_the_month(today: dt.date) -> None:
    expected = 10 * calendar.monthrange(today.year, today.month)[1]
    assert month_end(every_day(today, 10), today) == expected
    assert month_end(every_day(today, 10) | {today: Decimal(3)}, today) == expected


@pytest.mark.parametrize("history", [{}, {_TODAY: Decimal(5)}, {_TODAY - 29 * ONE_DAY: Decimal(5)}])
def test_without_a_finished_day_in_four_weeks_there_is_no_forecast(history: dict[dt.date, Decimal]) -> None:
    assert month_end(history, _TODAY) is None


def test_today_counts_with_what_it_has_cost_where_that_is_more_than_the_average() -> None:
    usual = month_end(every_day(_TODAY, 10), _TODAY)
    assert usual == 310
    assert month_end(every_day(_TODAY, 10) | {_TODAY: Decimal(45)}, _TODAY) == usual + 35


def test_only_this_month_is_counted_and_only_four_weeks_are_averaged() -> None:
    history = {day: Decimal(10) if day.month == 3 else Decimal(20) for day in every_day(_TODAY, 1)}
    history |= {_TODAY - number * ONE_DAY: Decimal(10**6) for number in range(29, 61)}
    average = (10 * Decimal(10) + 18 * Decimal(20)) / 28
    assert month_end(history, _TODAY) == round(100 + 21 * average, 2)


def test_the_last_day_of_a_month_has_only_itself_left() -> None:
    last = dt.date(2026, 2, 28)
    assert month_end(every_day(last, 10), last) == 280


def test_days_that_are_not_known_are_not_taken_for_free() -> None:
    assert month_end({_TODAY - ONE_DAY: Decimal(10)}, _TODAY) == 10 + 10 * 21


@given(st.lists(st.decimals(-100, 1000, places=30), min_size=1, max_size=28))
def test_a_forecast_is_in_cents_and_no_less_than_the_least_the_days_left_can_cost(amounts: list[Decimal]) -> None:
    history = {_TODAY - number * ONE_DAY: amount for number, amount in enumerate(amounts, 1)}
    forecast = month_end(history, _TODAY)
    assert forecast is not None
    assert forecast == forecast.quantize(Decimal("0.01"))
    so_far = sum(amounts[:10], Decimal(0))
    assert forecast >= so_far + 21 * min(amounts) - Decimal("0.01")
