"""Tests of the view `sync_status`: newer stored days never hide a missing or provisional day."""

import datetime as dt
from collections.abc import Collection
from decimal import Decimal

import pytest

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.warehouse import coverage, organizations
from openai_costs_dagster.warehouse.database import Connection

from ..conftest import NOW
from .windows import BY_KEY, COARSEST, row, store


@pytest.fixture
def today(connection: Connection) -> dt.date:
    """Return the UTC day of the server's clock, which the view uses."""
    found = connection.execute("select (now() at time zone 'utc')::date").fetchone()
    assert found
    return dt.date(found[0].year, found[0].month, found[0].day)


def status(connection: Connection, organization: str = "acme") -> coverage.SyncStatus:
    (found,) = (entry for entry in coverage.sync_status(connection) if entry.organization == organization)
    return found


def read(
    connection: Connection, today: dt.date, days_ago: Collection[int], *, provisional: Collection[int] = ()
) -> None:
    """Store days, given by their age in days. The history starts ten days ago."""
    organizations.register(connection, "acme", display_name=None, start_date=None)
    organizations.record_onboarding(connection, "acme", today - 10 * ONE_DAY, NOW)
    for number in days_ago:
        day = today - number * ONE_DAY
        store(connection, {day: [row("1.5")]}, provisional=[day] if number in provisional else [])


@pytest.mark.parametrize(
    ("days_ago", "provisional", "last", "settled_to", "missing"),
    [
        pytest.param([], [], None, None, 10, id="nothing read yet"),
        pytest.param(range(11), [], 0, 1, 0, id="all there: today cannot be settled before it ends"),
        pytest.param(range(1, 11), [], 1, 1, 0, id="today is not missing"),
        pytest.param(range(11), [0, 1, 2], 0, 3, 0, id="settled up to the first provisional day"),
        pytest.param([0, 1, 2, 3, 5, 6, 7, 8, 9, 10], [], 0, 5, 1, id="a gap holds it back"),
        pytest.param([0, 1, 2, 3, 5, 6, 8, 9, 10], [5], 0, 8, 2, id="the first of several reasons counts"),
        pytest.param([0, 1, 2], [], 0, None, 8, id="the beginning is missing"),
        pytest.param(range(11), [10], 0, None, 0, id="the beginning is provisional"),
        pytest.param([10], [], 10, 10, 9, id="one day, the oldest"),
    ],
)
def test_settled_to_is_the_last_day_before_anything_missing_or_provisional(
    connection: Connection,
    today: dt.date,
    days_ago: Collection[int],
    provisional: Collection[int],
    last: int | None,
    settled_to: int | None,
    missing: int,
) -> None:
    read(connection, today, days_ago, provisional=provisional)
    found = status(connection)
    assert found.last_day == (None if last is None else today - last * ONE_DAY)
    assert found.settled_to == (None if settled_to is None else today - settled_to * ONE_DAY)
    assert found.missing_days == missing


def test_history_starts_at_the_later_of_start_date_and_onboarding(connection: Connection, today: dt.date) -> None:
    organizations.record_onboarding(connection, "acme", today, NOW)
    read(connection, today, [1, 2, 3])
    assert status(connection).missing_days == 7
    organizations.register(connection, "acme", display_name=None, start_date=today - 4 * ONE_DAY)
    assert status(connection).missing_days == 1
    organizations.register(connection, "acme", display_name=None, start_date=today - 400 * ONE_DAY)
    assert status(connection).missing_days == 7


def test_organization_without_days_has_its_last_error(connection: Connection) -> None:
    organizations.register(connection, "acme", display_name=None, start_date=None)
    organizations.record_failure(connection, "acme", "the key is gone", NOW, permanent=True)
    found = status(connection)
    assert (found.last_day, found.settled_to, found.missing_days) == (None, None, 0)
    assert (found.last_error, found.last_error_is_permanent) == ("the key is gone", True)


def test_days_of_one_organization_do_not_count_for_another(connection: Connection, today: dt.date) -> None:
    read(connection, today, range(11))
    organizations.register(connection, "beta", display_name=None, start_date=None)
    organizations.record_onboarding(connection, "beta", today - 3 * ONE_DAY, NOW)
    assert (status(connection).missing_days, status(connection, "beta").missing_days) == (0, 3)


def test_missing_days_are_named_oldest_first(connection: Connection, today: dt.date) -> None:
    read(connection, today, [1, 2, 4])
    requested_days = DayRange(today - 5 * ONE_DAY, today)
    assert coverage.missing_days(connection, "acme", requested_days) == [today - n * ONE_DAY for n in (5, 3, 0)]


def test_day_is_complete_if_it_was_stored_after_its_end(connection: Connection) -> None:
    assert coverage.coverage(connection, "acme") == coverage.Coverage(None, None, None)
    first, yesterday = NOW.date() - 3 * ONE_DAY, NOW.date() - ONE_DAY
    store(connection, {first: [row("5")], first + ONE_DAY: [], yesterday: [], NOW.date(): [row("1")]})
    assert coverage.coverage(connection, "acme") == coverage.Coverage(first, NOW.date(), yesterday)


def test_spend_in_other_currencies_is_listed_by_day_and_currency(connection: Connection) -> None:
    day = NOW.date() - ONE_DAY
    rows = [row("10"), row("90000", currency="jpy"), row("1", "b", currency="jpy"), row("2", currency=None)]
    store(connection, {day: rows, NOW.date(): [row("7", currency="eur")]})
    assert coverage.other_currencies(connection, "acme", DayRange(day, day)) == [
        coverage.OtherCurrency(day, "jpy", Decimal(90001)),
        coverage.OtherCurrency(day, None, Decimal(2)),
    ]


def test_vanished_day_counts_us_dollars_only(connection: Connection, today: dt.date) -> None:
    yesterday = today - ONE_DAY
    store(connection, {yesterday: [row("10"), row("90000", currency="jpy")]})
    store(connection, {yesterday: []}, now=NOW + ONE_DAY)
    (found,) = coverage.daily_spend(connection, "acme", DayRange(yesterday, yesterday))
    assert found.vanished == 10


def test_groupings_are_reported_as_day_ranges(connection: Connection, today: dt.date) -> None:
    for number, grouping in enumerate([COARSEST, COARSEST, BY_KEY, COARSEST]):
        store(connection, {today + number * ONE_DAY: []}, grouping=grouping)
    assert coverage.stored_groupings(connection, "acme") == [
        coverage.GroupedDays("project,line_item", today, today + ONE_DAY),
        coverage.GroupedDays("project,line_item,api_key", today + 2 * ONE_DAY, today + 2 * ONE_DAY),
        coverage.GroupedDays("project,line_item", today + 3 * ONE_DAY, today + 3 * ONE_DAY),
    ]


def test_emptied_settled_day_reports_its_previous_amount(connection: Connection, today: dt.date) -> None:
    yesterday = today - ONE_DAY
    store(connection, {yesterday: [row("7", "a"), row("5", "b")], today: []})
    store(connection, {yesterday: []}, now=NOW + ONE_DAY)
    assert coverage.daily_spend(connection, "acme", DayRange(yesterday, today)) == [
        coverage.DaySpend(yesterday, Decimal(0), provisional=False, row_count=0, vanished=Decimal(12)),
        coverage.DaySpend(today, Decimal(0), provisional=False, row_count=0, vanished=None),
    ]
