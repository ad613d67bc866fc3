"""Tests of budgets: their stored state, and one alert for each threshold that a scheduled run finds crossed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from typing import Any

from openai_costs_dagster.configuration import Budget
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.budgets import BudgetDay, evaluate_budgets
from openai_costs_dagster.sync.allocation import allocate_days

from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days, spent

JANUARY = DayRange(dt.date(2026, 1, 1), dt.date(2026, 1, 31))


def evaluate(
    setup: SyncSetup,
    *budgets: Budget,
    requested_days: Collection[dt.date] = JANUARY,
    may_alert: bool = True,
    allocated: bool = False,
) -> dict[dt.date, list[BudgetDay]]:
    organization = setup.organization.model_copy(update={"budgets": budgets})
    with setup.database.connect() as connection:
        since = dt.date.min if may_alert else dt.date.max
        return evaluate_budgets(
            connection, organization, requested_days, setup.clock.now, allocated=allocated, alert_since=since
        )


def alerts(setup: SyncSetup) -> list[tuple[Any, ...]]:
    return setup.query(
        "select event, severity, usage_date, acknowledged from openai_costs.outbox"
        " where kind = 'budget' order by alert_id"
    )


def month(setup: SyncSetup) -> Decimal:
    return spent(fact for day in JANUARY for fact in setup.simulated.facts(day))


def test_each_threshold_is_alerted_once_with_its_day(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(JANUARY)
    budget = Budget(amount_usd=month(setup) / 2)
    found = evaluate(setup, budget)
    so_far, reached = Decimal(0), dict[Decimal, dt.date]()
    for day in JANUARY:
        so_far += spent(setup.simulated.facts(day))
        for share in budget.alert_at:
            if so_far >= share * budget.amount_usd:
                reached.setdefault(share, day)
    assert [(event, day) for event, _, day, _ in alerts(setup)] == [
        ("crossed", reached[share]) for share in budget.alert_at
    ]
    assert {day for day, (state,) in found.items() if state.crossed} == set(reached.values())
    assert {day for day, (state,) in found.items() if state.is_over} == {
        day for day in JANUARY if day >= reached[Decimal(1)]
    }
    evaluate(setup, budget)
    assert len(alerts(setup)) == 3


def test_budget_state_is_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(JANUARY)
    evaluate(setup, Budget(amount_usd=Decimal(1000)))
    ((budget, start, amount, share, low, high),) = setup.query(
        "select budget, period_start, spent, share, forecast_low, forecast_high from openai_costs.budget_status"
    )
    assert (budget, start, amount) == ("organization, month", JANUARY.first, month(setup))
    assert round(share, 9) == round(amount / 1000, 9)
    assert round(amount, 2) == round(low, 2) == round(high, 2)


def test_crossing_of_a_backfill_is_acknowledged(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(JANUARY)
    budget = Budget(amount_usd=month(setup) / 2)
    evaluate(setup, budget, may_alert=False)
    evaluate(setup, budget, may_alert=True)
    assert [acknowledged for *_, acknowledged in alerts(setup)] == [True] * 3


def test_restatement_that_crosses_a_threshold_of_last_month_is_alerted(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(JANUARY)
    budget = Budget(amount_usd=month(setup) + 100, alert_at=(Decimal(1),))
    evaluate(setup, budget)
    assert alerts(setup) == []
    late = JANUARY.last - 5 * ONE_DAY
    setup.simulated.restate(late, lambda facts: (*facts, replace(facts[0], line_item="late", amount=Decimal(200))))
    setup.ingest([late])
    evaluate(setup, budget, requested_days=[late])
    assert [(event, severity) for event, severity, *_ in alerts(setup)] == [("crossed", "high")]


def test_forecast_and_crossing_are_alerted_once_each(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.clock.now = dt.datetime(2026, 1, 20, 12, tzinfo=dt.UTC)
    so_far = days(dt.date(2025, 11, 1), 81)
    setup.ingest(so_far)
    budget = Budget(amount_usd=Decimal(1), alert_at=(Decimal(1),))
    state = evaluate(setup, budget, requested_days=[so_far[-1]], may_alert=False)
    assert state
    expected = setup.query("select forecast from openai_costs.budget_status")[0][0]
    budget = Budget(amount_usd=expected * Decimal("0.98"), alert_at=(Decimal(1),))
    evaluate(setup, budget, requested_days=[so_far[-1]])
    assert [(event, acknowledged) for event, _, _, acknowledged in alerts(setup)] == [
        ("crossed", True),
        ("forecast", False),
    ]
    setup.clock.now = dt.datetime(2026, 2, 3, tzinfo=dt.UTC)
    setup.ingest(JANUARY)
    final = Budget(amount_usd=budget.amount_usd, alert_at=budget.alert_at)
    evaluate(setup, final)
    events = [event for event, _, _, acknowledged in alerts(setup) if not acknowledged]
    assert events == (["forecast", "crossed"] if month(setup) >= budget.amount_usd else ["forecast"])


def test_budget_of_each_scope_counts_its_own_spend(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(JANUARY)
    with setup.database.connect() as connection:
        allocate_days(connection, "acme", list(JANUARY), setup.clock.now)
    project, model, service, key = setup.query(
        "select project_id, model, service, api_key_id from openai_costs.daily_costs"
        " where api_key_id is not null and model is not null limit 1"
    )[0]
    scopes = {"project": project, "model": model, "service": service, "api_key": key}
    budgets = [Budget(amount_usd=Decimal(10**6), **{scope: value}) for scope, value in scopes.items()]
    evaluate(setup, *budgets)
    evaluate(setup, *budgets, allocated=True)
    found = dict(setup.query("select scope, spent from openai_costs.budget_status"))
    columns = {"project": "project_id", "model": "model", "service": "service", "api_key": "api_key_id"}
    for scope, value in scopes.items():
        query = f"select sum(amount) from openai_costs.daily_costs where {columns[scope]} = %s"  # noqa: S608  # our own names
        assert found[scope] == setup.query(query, value)[0][0], scope


def test_state_of_an_unconfigured_budget_is_deleted(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(JANUARY)
    evaluate(setup, Budget(amount_usd=Decimal(5)), Budget(amount_usd=Decimal(5), period="year"))
    evaluate(setup, Budget(amount_usd=Decimal(5)))
    assert setup.query("select budget from openai_costs.budget_status") == [("organization, month",)]


def test_amount_with_more_decimals_is_the_same_budget(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(JANUARY)
    evaluate(setup, Budget(amount_usd=Decimal(100), alert_at=(Decimal(1),)))
    evaluate(setup, Budget(amount_usd=Decimal("100.00"), alert_at=(Decimal("1.0"),)))
    assert len(alerts(setup)) == 1


def test_new_budget_alerts_only_for_crossings_on_evaluated_days(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.ingest(JANUARY)
    budget = Budget(amount_usd=month(setup) * Decimal("0.99"), alert_at=(Decimal("0.1"), Decimal(1)))
    evaluate(setup, budget, requested_days=list(JANUARY)[-4:])
    assert [(event, acknowledged) for event, _, _, acknowledged in alerts(setup)] == [
        ("crossed", True),
        ("crossed", False),
    ]


def test_crossing_that_a_credit_reverts_is_not_alerted_as_a_forecast(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup()
    setup.clock.now = dt.datetime(2026, 1, 20, 12, tzinfo=dt.UTC)
    setup.ingest(days(dt.date(2025, 12, 1), 50))
    so_far = setup.query("select sum(amount) from openai_costs.daily_costs where usage_date >= '2026-01-01'")[0][0]
    budget = Budget(amount_usd=so_far - Decimal("0.01"), alert_at=(Decimal(1),))
    requested_days = [dt.date(2026, 1, 19)]
    evaluate(setup, budget, requested_days=requested_days)
    setup.simulated.restate(
        requested_days[0], lambda facts: (replace(facts[0], line_item="credit", amount=Decimal(-1)), *facts)
    )
    setup.ingest(requested_days)
    evaluate(setup, budget, requested_days=requested_days)
    assert [event for event, *_ in alerts(setup)] == ["crossed"]
