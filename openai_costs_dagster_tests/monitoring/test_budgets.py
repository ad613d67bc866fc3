"""Test budget alerts: once for each threshold, sent only by scheduled runs, and also after late restatements."""

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

from ..bench import Bench, days, spent
from ..sync_fixtures import MakeBench

JANUARY = DayRange(dt.date(2026, 1, 1), dt.date(2026, 1, 31))


def evaluate(
    work: Bench,
    *budgets: Budget,
    wanted: Collection[dt.date] = JANUARY,
    may_alert: bool = True,
    allocated: bool = False,
) -> dict[dt.date, list[BudgetDay]]:
    organization = work.organization.model_copy(update={"budgets": budgets})
    with work.database.connect() as connection:
        since = dt.date.min if may_alert else dt.date.max
        return evaluate_budgets(
            connection, organization, wanted, work.clock.now, allocated=allocated, alert_since=since
        )


def alerts(work: Bench) -> list[tuple[Any, ...]]:
    return work.query(
        "select event, severity, usage_date, acknowledged from openai_costs.outbox"
        " where kind = 'budget' order by alert_id"
    )


def month(work: Bench) -> Decimal:
    return spent(fact for day in JANUARY for fact in work.simulated.facts(day))


def test_each_threshold_is_alerted_once_with_its_day(bench: MakeBench) -> None:
    work = bench()
    work.ingest(JANUARY)
    budget = Budget(amount_usd=month(work) / 2)
    found = evaluate(work, budget)
    so_far, reached = Decimal(0), dict[Decimal, dt.date]()
    for day in JANUARY:
        so_far += spent(work.simulated.facts(day))
        for share in budget.alert_at:
            if so_far >= share * budget.amount_usd:
                reached.setdefault(share, day)
    assert [(event, day) for event, _, day, _ in alerts(work)] == [
        ("crossed", reached[share]) for share in budget.alert_at
    ]
    assert {day for day, (one,) in found.items() if one.crossed} == set(reached.values())
    assert {day for day, (one,) in found.items() if one.is_over} == {
        day for day in JANUARY if day >= reached[Decimal(1)]
    }
    evaluate(work, budget)
    assert len(alerts(work)) == 3


def test_budget_state_is_stored(bench: MakeBench) -> None:
    work = bench()
    work.ingest(JANUARY)
    evaluate(work, Budget(amount_usd=Decimal(1000)))
    ((budget, start, amount, share, low, high),) = work.query(
        "select budget, period_start, spent, share, forecast_low, forecast_high from openai_costs.budget_status"
    )
    assert (budget, start, amount) == ("organization, month", JANUARY.first, month(work))
    assert round(share, 9) == round(amount / 1000, 9)
    assert round(amount, 2) == round(low, 2) == round(high, 2)


def test_crossing_of_a_backfill_is_acknowledged(bench: MakeBench) -> None:
    work = bench()
    work.ingest(JANUARY)
    budget = Budget(amount_usd=month(work) / 2)
    evaluate(work, budget, may_alert=False)
    evaluate(work, budget, may_alert=True)
    assert [acknowledged for *_, acknowledged in alerts(work)] == [True] * 3


def test_restatement_that_crosses_a_threshold_of_last_month_is_alerted(bench: MakeBench) -> None:
    work = bench()
    work.ingest(JANUARY)
    budget = Budget(amount_usd=month(work) + 100, alert_at=(Decimal(1),))
    evaluate(work, budget)
    assert alerts(work) == []
    late = JANUARY.last - 5 * ONE_DAY
    work.simulated.restate(late, lambda facts: (*facts, replace(facts[0], line_item="late", amount=Decimal(200))))
    work.ingest([late])
    evaluate(work, budget, wanted=[late])
    assert [(event, severity) for event, severity, *_ in alerts(work)] == [("crossed", "high")]


def test_forecast_and_crossing_are_alerted_once_each(bench: MakeBench) -> None:
    work = bench()
    work.clock.now = dt.datetime(2026, 1, 20, 12, tzinfo=dt.UTC)
    so_far = days(dt.date(2025, 11, 1), 81)
    work.ingest(so_far)
    budget = Budget(amount_usd=Decimal(1), alert_at=(Decimal(1),))
    state = evaluate(work, budget, wanted=[so_far[-1]], may_alert=False)
    assert state
    expected = work.query("select forecast from openai_costs.budget_status")[0][0]
    budget = Budget(amount_usd=expected * Decimal("0.98"), alert_at=(Decimal(1),))
    evaluate(work, budget, wanted=[so_far[-1]])
    assert [(event, acknowledged) for event, _, _, acknowledged in alerts(work)] == [
        ("crossed", True),
        ("forecast", False),
    ]
    work.clock.now = dt.datetime(2026, 2, 3, tzinfo=dt.UTC)
    work.ingest(JANUARY)
    final = Budget(amount_usd=budget.amount_usd, alert_at=budget.alert_at)
    evaluate(work, final)
    events = [event for event, _, _, acknowledged in alerts(work) if not acknowledged]
    assert events == (["forecast", "crossed"] if month(work) >= budget.amount_usd else ["forecast"])


def test_budget_of_each_scope_counts_its_own_spend(bench: MakeBench) -> None:
    work = bench()
    work.ingest(JANUARY)
    with work.database.connect() as connection:
        allocate_days(connection, "acme", list(JANUARY), work.clock.now)
    project, model, service, key = work.query(
        "select project_id, model, service, api_key_id from openai_costs.daily_costs"
        " where api_key_id is not null and model is not null limit 1"
    )[0]
    scopes = {"project": project, "model": model, "service": service, "api_key": key}
    budgets = [Budget(amount_usd=Decimal(10**6), **{scope: one}) for scope, one in scopes.items()]
    evaluate(work, *budgets)
    evaluate(work, *budgets, allocated=True)
    found = dict(work.query("select scope, spent from openai_costs.budget_status"))
    columns = {"project": "project_id", "model": "model", "service": "service", "api_key": "api_key_id"}
    for scope, one in scopes.items():
        query = f"select sum(amount) from openai_costs.daily_costs where {columns[scope]} = %s"  # noqa: S608  # our own names
        assert found[scope] == work.query(query, one)[0][0], scope


def test_state_of_an_unconfigured_budget_is_deleted(bench: MakeBench) -> None:
    work = bench()
    work.ingest(JANUARY)
    evaluate(work, Budget(amount_usd=Decimal(5)), Budget(amount_usd=Decimal(5), period="year"))
    evaluate(work, Budget(amount_usd=Decimal(5)))
    assert work.query("select budget from openai_costs.budget_status") == [("organization, month",)]


def test_equal_amounts_with_different_decimals_are_one_limit(bench: MakeBench) -> None:
    work = bench()
    work.ingest(JANUARY)
    evaluate(work, Budget(amount_usd=Decimal(100), alert_at=(Decimal(1),)))
    evaluate(work, Budget(amount_usd=Decimal("100.00"), alert_at=(Decimal("1.0"),)))
    assert len(alerts(work)) == 1


def test_new_budget_alerts_only_on_evaluated_days(bench: MakeBench) -> None:
    work = bench()
    work.ingest(JANUARY)
    budget = Budget(amount_usd=month(work) * Decimal("0.99"), alert_at=(Decimal("0.1"), Decimal(1)))
    evaluate(work, budget, wanted=list(JANUARY)[-4:])
    assert [(event, acknowledged) for event, _, _, acknowledged in alerts(work)] == [
        ("crossed", True),
        ("crossed", False),
    ]


def test_crossing_reverted_by_a_credit_is_not_forecast_again(bench: MakeBench) -> None:
    work = bench()
    work.clock.now = dt.datetime(2026, 1, 20, 12, tzinfo=dt.UTC)
    work.ingest(days(dt.date(2025, 12, 1), 50))
    so_far = work.query("select sum(amount) from openai_costs.daily_costs where usage_date >= '2026-01-01'")[0][0]
    budget = Budget(amount_usd=so_far - Decimal("0.01"), alert_at=(Decimal(1),))
    wanted = [dt.date(2026, 1, 19)]
    evaluate(work, budget, wanted=wanted)
    work.simulated.restate(wanted[0], lambda facts: (replace(facts[0], line_item="credit", amount=Decimal(-1)), *facts))
    work.ingest(wanted)
    evaluate(work, budget, wanted=wanted)
    assert [event for event, *_ in alerts(work)] == ["crossed"]
