"""Tests of the comparison of the local clock with the header `Date` of responses."""

from __future__ import annotations

import datetime as dt
import logging
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi, ConnectionSettings
from openai_costs_dagster.api.connection_check import check_connection
from openai_costs_dagster.api.costs import OrganizationGuard, read_costs
from openai_costs_dagster.api.server_clock import ServerClock, parse_http_date
from openai_costs_dagster.cost_records import UNGROUPED
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .scripted_api import NOW, days

_HOUR = dt.timedelta(hours=1)


def _observed(difference: dt.timedelta, **headers: str) -> ServerClock:
    """Return the server clock after a response. The clock of this machine is ahead of the server by `difference`."""
    clock = ServerClock("api.example")
    clock.observe({"date": format_datetime(NOW, usegmt=True), **headers}, NOW + difference)
    return clock


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (dt.timedelta(days=1), "24 hours ahead of"),
        (dt.timedelta(days=40), "40 days ahead of"),
        (7 * _HOUR, "7 hours ahead of"),
        (dt.timedelta(minutes=20), "20 minutes ahead of"),
        (-26 * _HOUR, "26 hours behind"),
    ],
)
def test_wrong_clock_is_logged_once(
    difference: dt.timedelta, text: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openai_costs_dagster.api.server_clock._reported", set())
    with caplog.at_level(logging.WARNING):
        clock = _observed(difference)
        _observed(difference + dt.timedelta(hours=3))
    warning = f"the clock of this machine is {text} the clock of api.example: correct the clock, for example with NTP"
    assert caplog.messages == [clock.warning] == [warning]
    assert clock.time_at(NOW + difference) == NOW


@pytest.mark.parametrize("seconds", [-290, -1, 0, 1, 90, 290])
def test_difference_below_five_minutes_is_no_warning(seconds: int) -> None:
    assert _observed(dt.timedelta(seconds=seconds)).warning is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"date": ""},
        {"date": "yesterday"},
        {"date": "Wed, 99 Mar 2026 14:30:00 GMT"},
        {"date": "0"},
        {"date": format_datetime(NOW - 90 * ONE_DAY, usegmt=True), "age": "7776000"},
    ],
    ids=str,
)
def test_missing_malformed_and_cached_dates_are_ignored(headers: dict[str, str]) -> None:
    clock = ServerClock("api.example")
    clock.observe(headers, NOW)
    assert (clock.offset, clock.warning) == (None, None)
    assert clock.time_at(NOW) == NOW


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [-+A-Z0-9]+"))
def test_any_date_header_is_a_time_or_ignored(text: str) -> None:
    time = parse_http_date(text)
    assert time is None or time.tzinfo is dt.UTC


@pytest.mark.parametrize("ahead", [0, 1, 2, 7, 8, 30])
def test_days_after_the_current_day_of_the_server_have_not_begun(ahead: int) -> None:
    organization = SimulatedOrganization()
    with Simulator([organization], clock=lambda: NOW) as simulator:
        settings = ConnectionSettings(simulator.base_url, lambda: organization.admin_key)
        today = NOW.date()
        with AdminApi(settings, now=lambda: NOW + ahead * ONE_DAY) as api:
            requested_days = DayRange(today - 6 * ONE_DAY, today + ahead * ONE_DAY)
            if ahead:
                with pytest.raises(errors.DaysNotStarted, match=f"^{today + ONE_DAY} has not begun: it is ") as raised:
                    list(read_costs(api, requested_days, UNGROUPED, OrganizationGuard(None)))
                assert raised.value.is_plausible == (ahead <= 7)
                requested_days = raised.value.served_days(requested_days) or days(1)
            assert len(list(read_costs(api, requested_days, UNGROUPED, OrganizationGuard(None)))) == 7
        found = check_connection(settings, None, lambda: NOW + ahead * ONE_DAY)
        assert found.ok
        assert ("ahead of" in (found.clock_warning or "")) == bool(ahead)
