"""How far back a day's judgement reaches depends on the day alone."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.monitoring.anomalies import first_history_day
from openai_costs_dagster.spend.detection.parameters import Parameters

DAYS = st.dates(dt.date(2024, 1, 1), dt.date(2100, 1, 1))


@given(DAYS)
def test_a_day_is_judged_by_eight_months_which_is_longer_than_anything_is_remembered(day: dt.date) -> None:
    past = (day - first_history_day(day)).days
    assert Parameters().noise_window_days + Parameters().window_days <= past <= 240 + 30


@given(DAYS)
def test_days_in_a_row_share_a_walk_and_none_is_judged_by_less_than_the_day_before(day: dt.date) -> None:
    assert first_history_day(day).day == 1
    assert first_history_day(day) <= first_history_day(day + ONE_DAY)
