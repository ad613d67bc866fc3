"""One figure has one value, whichever of status, report and budget check shows it."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.budgets import evaluate
from openai_costs_dagster.report.contents import SpendReport
from openai_costs_dagster.report.contents_from_warehouse import load_spend_report

from ..served_costs import Costs, Place, cost


def history(place: Place) -> DayRange:
    return DayRange(place.clock.today - 60 * ONE_DAY, place.clock.today)


def check(place: Place) -> None:
    """What the check `budgets` does at a refresh of today."""
    with place.database.connect() as connection:
        evaluate(
            connection,
            place.organization,
            [place.clock.today],
            place.clock.now,
            allocated=False,
            alert_since=place.clock.today,
        )


def report(place: Place) -> SpendReport:
    return load_spend_report(place.configuration, place.database, place.clock.now)


def forecasts(place: Place) -> set[tuple[Decimal | None, ...]]:
    """Expected, low and high as status, the report's month, its budgets and the check say."""
    shown, page = place.overview(), report(place)
    places: list[Any] = [shown, page.organizations[0], page.budgets[0]]
    stored = place.ask("select forecast, forecast_low, forecast_high from openai_costs.budget_status")
    return {(one.forecast, one.forecast_low, one.forecast_high) for one in places} | set(stored)


def test_last_days_without_spend_give_one_forecast_everywhere(costs: Costs, place: Place) -> None:
    silent_from = place.clock.today - 5 * ONE_DAY
    costs.rows = lambda day: [cost("100")] if day < silent_from else []
    place.read(history(place))
    check(place)
    ((expected, low, high),) = forecasts(place)
    assert low is not None
    assert expected is not None
    assert high is not None
    assert low <= expected <= high
    assert place.overview().month_to_date == 500
    assert expected < 1500  # the run rate to the last day with spend would make 3,100
    assert place.overview().known_to == place.clock.today - ONE_DAY


def test_missing_last_days_give_one_forecast_everywhere(costs: Costs, place: Place) -> None:
    costs.rows = lambda _: [cost("100")]
    place.read(DayRange(history(place).first, place.clock.today - 4 * ONE_DAY))
    check(place)
    assert {one[0] for one in forecasts(place)} == {Decimal(3100)}


def test_a_day_that_was_read_before_its_end_is_not_the_last_known_one(costs: Costs, place: Place) -> None:
    costs.rows = lambda day: [cost("4" if day == place.clock.today else "100")]
    place.read(history(place))
    yesterday = place.clock.today
    place.clock.now += dt.timedelta(hours=12)  # past midnight, and nothing was read since
    check(place)
    assert place.overview().known_to == yesterday - ONE_DAY
    assert {one[0] for one in forecasts(place)} == {Decimal(3100)}


def test_budgets_are_computed_when_they_are_shown(costs: Costs, place: Place) -> None:
    costs.rows = lambda _: [cost("100")]
    place.read(history(place))
    check(place)
    costs.rows = lambda _: [cost("350")]
    place.read(DayRange(place.clock.today, place.clock.today))
    shown, page = place.overview(), report(place)
    assert place.ask("select spent from openai_costs.budget_status") == [(1100,)]
    assert shown.month_to_date == page.organizations[0].month_to_date == page.budgets[0].spent == 1350
    assert shown.budgets[0].startswith("organization, month: $1,350.00 of $4,000.00")


def test_a_budget_shows_before_its_check_ever_ran(costs: Costs, place: Place) -> None:
    costs.rows = lambda _: [cost("100")]
    place.read(history(place))
    assert report(place).budgets[0].spent == 1100
    assert len(place.overview().budgets) == 1
