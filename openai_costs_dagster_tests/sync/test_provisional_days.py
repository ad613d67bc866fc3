"""Tests of the time at which a day stops being provisional."""

from __future__ import annotations

import datetime as dt

import pytest

from openai_costs_dagster.sync.provisional_days import is_provisional

DAY = dt.date(2026, 2, 3)
END_OF_DAY = dt.datetime(2026, 2, 4, tzinfo=dt.UTC)


@pytest.mark.parametrize("settle_hours", [0, 48])
def test_day_is_provisional_until_settle_hours_after_its_end(settle_hours: int) -> None:
    settled_at = END_OF_DAY + dt.timedelta(hours=settle_hours)
    assert is_provisional(DAY, settled_at - dt.timedelta(microseconds=1), settle_hours)
    assert not is_provisional(DAY, settled_at, settle_hours)
