"""Tests that status, report and budget check show the same value of the same figure."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.budgets import evaluate_budgets
from openai_costs_dagster.monitoring.status import describe_budget
from openai_costs_dagster.report.contents import SpendReport
from openai_costs_dagster.report.contents_from_warehouse import load_spend_report

from ..served_organization import ServedOrganization, cost


def history(served: ServedOrganization) -> DayRange:
    return DayRange(served.clock.today - 60 * ONE_DAY, served.clock.today)


def check(served: ServedOrganization) -> None:
    """Evaluate the budgets as the asset check `budgets` does in a refresh of today."""
    with served.database.connect() as connection:
        evaluate_budgets(
            connection,
            served.organization,
            [served.clock.today],
            served.clock.now,
            allocated=False,
            alert_since=served.clock.today,
        )


def report(served: ServedOrganization) -> SpendReport:
    return load_spend_report(served.configuration, served.database, served.clock.now)


def forecasts(served: ServedOrganization) -> set[tuple[Decimal | None, ...]]:
    """Return the distinct forecasts in the status, in the month and the budgets of the report, and in the view."""
    shown, page = served.overview(), report(served)
    places: list[Any] = [shown, page.organizations[0], page.budgets[0]]
    stored = served.query("select forecast, forecast_low, forecast_high from openai_costs.budget_status")
    return {(place.forecast, place.forecast_low, place.forecast_high) for place in places} | set(stored)


def test_forecast_is_equal_everywhere_after_days_without_spend(served: ServedOrganization) -> None:
    silent_from = served.clock.today - 5 * ONE_DAY
    served.server.rows = lambda day: [cost("100")] if day < silent_from else []
    served.load(history(served))
    check(served)
    ((expected, low, high),) = forecasts(served)
    assert low is not None
    assert expected is not None
    assert high is not None
    assert low <= expected <= high
    assert served.overview().month_to_date == 500
    assert expected < 1500  # The average until the last day with spend would give 3,100.
    assert served.overview().forecast_as_of == served.clock.today - ONE_DAY


def test_forecast_is_equal_everywhere_with_missing_days(served: ServedOrganization) -> None:
    served.server.rows = lambda _: [cost("100")]
    served.load(DayRange(history(served).first, served.clock.today - 4 * ONE_DAY))
    check(served)
    assert {values[0] for values in forecasts(served)} == {Decimal(3100)}


def test_day_stored_before_its_end_is_not_complete(served: ServedOrganization) -> None:
    served.server.rows = lambda day: [cost("4" if day == served.clock.today else "100")]
    served.load(history(served))
    yesterday = served.clock.today
    served.clock.now += dt.timedelta(hours=12)  # It is the next day, and no sync has run since yesterday.
    check(served)
    assert served.overview().forecast_as_of == yesterday - ONE_DAY
    assert {values[0] for values in forecasts(served)} == {Decimal(3100)}


def test_shown_budgets_are_computed_from_stored_days(served: ServedOrganization) -> None:
    served.server.rows = lambda _: [cost("100")]
    served.load(history(served))
    check(served)
    served.server.rows = lambda _: [cost("350")]
    served.load(DayRange(served.clock.today, served.clock.today))
    shown, page = served.overview(), report(served)
    assert served.query("select spent from openai_costs.budget_status") == [(1100,)]
    assert shown.month_to_date == page.organizations[0].month_to_date == page.budgets[0].spent == 1350
    assert describe_budget(shown.budgets[0]).startswith("organization, month: $1,350.00 of $4,000.00")


def test_budget_is_shown_before_its_first_check(served: ServedOrganization) -> None:
    served.server.rows = lambda _: [cost("100")]
    served.load(history(served))
    assert report(served).budgets[0].spent == 1100
    assert len(served.overview().budgets) == 1
