"""Tests of currencies end to end: codes are normalised, and amounts of different currencies are never added."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from openai_costs_dagster.api.spend_limits import read_spend_limits
from openai_costs_dagster.cli.status import print_overviews
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.budgets import evaluate_budgets
from openai_costs_dagster.monitoring.status import describe_budget
from openai_costs_dagster.report.contents_from_warehouse import load_spend_report
from openai_costs_dagster.sync.allocation import allocate_days

from ..api.scripted_api import Script
from ..served_organization import ServedOrganization, cost


def test_upper_case_code_counts_in_every_total(served: ServedOrganization) -> None:
    day = served.clock.today - ONE_DAY
    served.server.rows = lambda usage_date: [cost("1850.00", "USD")] if usage_date == day else []
    outcome = served.load(served.month)
    assert outcome.summary()["spend"] == "1850.00"
    assert outcome.stored[day].reconciled
    assert served.query("select currency, amount from openai_costs.daily_costs") == [("usd", 1850)]
    with served.database.connect() as connection:
        allocate_days(connection, "acme", [day], served.clock.now)
        ((standing,),) = [
            state
            for when, state in evaluate_budgets(
                connection, served.organization, [day], served.clock.now, allocated=False, alert_since=dt.date.max
            ).items()
            if when == day
        ]
    assert standing.spent == 1850
    assert served.query("select user_id, amount from openai_costs.allocated_costs") == [("user-a", 1850)]
    found = served.overview()
    assert found.month_to_date == 1850
    assert found.forecast
    assert found.forecast > 1850
    assert describe_budget(found.budgets[0]).startswith("organization, month: $1,850.00 of $4,000.00 (46 %)")
    assert found.other_currencies == {}
    page = load_spend_report(served.configuration, served.database, served.clock.now)
    assert [sum(series.amounts) for series in page.cube.series] == [1850 * 10**9]


def test_codes_of_one_currency_are_added_exactly(served: ServedOrganization) -> None:
    digits = "0.1234567890123456789012345678901234"
    served.server.rows = lambda _: [cost(digits, "USD"), cost("1", "usd"), cost("2", " Usd ")]
    outcome = served.load(DayRange(served.clock.today, served.clock.today))
    assert served.query("select currency, amount::text from openai_costs.daily_costs") == [("usd", f"3{digits[1:]}")]
    assert [report.reconciled for report in outcome.stored.values()] == [True]
    assert served.query("select received_count, row_count from openai_costs.cost_days") == [(3, 1)]


def test_second_currency_is_shown_separately(served: ServedOrganization, capsys: pytest.CaptureFixture[str]) -> None:
    day = served.clock.today - ONE_DAY
    served.server.rows = lambda usage_date: (
        [cost("10"), cost("90000", "JPY"), cost("3.5", None)]
        if usage_date == day
        else [cost("10")]
        if usage_date < day
        else []
    )
    outcome = served.load(served.month)
    assert outcome.summary()["other_spend"] == ["90,000.00 JPY", "3.50 without a currency"]
    found = served.overview()
    assert found.month_to_date == 10 * (len(served.month) - 1)
    assert found.month_to_date_other_currencies == {"jpy": 90000, None: Decimal("3.5")}
    print_overviews([found])
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        f"acme: billed 90,000.00 JPY and 3.50 without a currency since {found.other_currencies_since}; "
        "forecasts, budgets and anomalies cover US dollars only"
    ) in shown
    page = load_spend_report(served.configuration, served.database, served.clock.now)
    assert [tuple(amount) for amount in page.other_currencies] == [
        ("acme", day, "jpy", 90000),
        ("acme", day, None, Decimal("3.5")),
    ]
    assert page.organizations[0].month_in_other_currencies == ["90,000.00 JPY", "3.50 without a currency"]
    assert page.budgets[0].spent == found.month_to_date


def test_empty_day_in_another_currency_needs_a_second_response(served: ServedOrganization) -> None:
    day = served.clock.today - 10 * ONE_DAY
    served.server.rows = lambda _: [cost("90000", "JPY")]
    served.load(DayRange(day, day))
    served.server.rows = lambda _: []
    (report,) = served.load(DayRange(day, day)).stored.values()
    assert report.became_empty
    assert report.requests > 2


def test_spend_limit_in_another_currency_is_ignored() -> None:
    limit = {"threshold_amount": 100_000, "interval": "month"}
    alerts = {"object": "list", "data": [{**limit, "currency": " USD"}, limit], "has_more": False}
    script = Script(_json({**limit, "currency": "EUR"}), _json(alerts))
    with script.api() as api:
        found = read_spend_limits(api)
    assert [(found_limit.amount_usd, found_limit.is_hard) for found_limit in found.in_usd] == [(Decimal(1000), False)]
    assert found.ignored == [
        "a monthly spend limit in EUR is not used: budgets are in US dollars",
        "a monthly spend alert without a currency is not used: budgets are in US dollars",
    ]


def _json(content: dict[str, Any]) -> httpx2.Response:
    return httpx2.Response(200, json=content)
