"""Tests of the first day of the history that an evaluation of a day uses."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.monitoring.anomalies import first_history_day
from openai_costs_dagster.spend.detection.parameters import Parameters

DAYS = st.dates(dt.date(2024, 1, 1), dt.date(2100, 1, 1))


@given(DAYS)
def test_history_covers_the_windows_of_the_detector(day: dt.date) -> None:
    past = (day - first_history_day(day)).days
    assert Parameters().noise_window_days + Parameters().window_days <= past <= 240 + 30


@given(DAYS)
def test_history_starts_with_a_month_and_never_moves_back(day: dt.date) -> None:
    assert first_history_day(day).day == 1
    assert first_history_day(day) <= first_history_day(day + ONE_DAY)
