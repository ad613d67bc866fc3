"""Tests of incident alerts: sent once by scheduled runs about trailing days, never by backfills or the first load."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.assets import costs
from openai_costs_dagster.orchestration.checks import anomalous_spend
from openai_costs_dagster.simulator import Fact, Fault, FaultKind
from openai_costs_dagster.simulator.queries import Query

from ..conftest import Clock, Configure
from ..orchestration.launching import run
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days

REFRESH = {asset_keys.TRIGGER_TAG: "schedule"}


@pytest.fixture
def setup(make_sync_setup: MakeSyncSetup, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> SyncSetup:
    for module in (anomalous_spend, costs):
        monkeypatch.setattr(module, "utc_now", clock)
    return make_sync_setup()


def alerts(setup: SyncSetup, since: dt.date) -> list[tuple[Any, ...]]:
    return setup.query(
        "select event, usage_date, acknowledged from openai_costs.outbox"
        " where kind = 'anomaly' and usage_date >= %s order by alert_id",
        since,
    )


def multiply_spend(setup: SyncSetup, day: dt.date, times: int) -> None:
    """Multiply the spend of the project and model with the largest cost on a day."""

    def more(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        leaf = max(facts, key=lambda fact: fact.amount or Decimal(0))
        same = (leaf.project_id, leaf.model)
        return tuple(_times(fact, times) if (fact.project_id, fact.model) == same else fact for fact in facts)

    setup.simulated.restate(day, more)


def _times(fact: Fact, times: int) -> Fact:
    amount = None if fact.amount is None else fact.amount * times
    return replace(fact, amount=amount, quantity=None if fact.quantity is None else fact.quantity * times)


def materialize(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, requested_days: list[dt.date], **tags: str
) -> dg.ExecuteInProcessResult:
    """Materialize some days in a Dagster run, which fetches, stores and evaluates their costs."""
    configuration = configure(setup.organization, database=setup.database)
    return run(configuration, instance, requested_days, tags=tags)


def test_incident_is_alerted_when_it_opens_doubles_and_ends(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, runs_at_the_clock: None
) -> None:
    first = setup.clock.today
    materialize(setup, configure, instance, days(first - 60 * ONE_DAY, 60))
    for number, times in enumerate((10, 10, 40, 1, 1, 1)):
        day = first + number * ONE_DAY
        if times > 1:
            multiply_spend(setup, day, times)
        setup.clock.now = dt.datetime.combine(day + ONE_DAY, dt.time(2), dt.UTC)
        assert materialize(setup, configure, instance, days(day - 3 * ONE_DAY, 5), **REFRESH).success
        assert materialize(setup, configure, instance, days(day - 3 * ONE_DAY, 5), **REFRESH).success
    whole = [(event, day) for event, day, acknowledged in alerts(setup, first) if not acknowledged]
    assert whole == [("opened", first), ("grown", first + 2 * ONE_DAY), ("ended", first + 2 * ONE_DAY)]


@pytest.mark.parametrize("trigger", ["backfill", "manual"])
def test_alerts_of_backfills_and_manual_runs_are_acknowledged(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, trigger: str, runs_at_the_clock: None
) -> None:
    yesterday = setup.clock.today - ONE_DAY
    materialize(setup, configure, instance, days(yesterday - 60 * ONE_DAY, 60))
    multiply_spend(setup, yesterday, 20)
    materialize(setup, configure, instance, [yesterday], **{asset_keys.TRIGGER_TAG: trigger})
    assert [acknowledged for *_, acknowledged in alerts(setup, yesterday)] == [True]
    materialize(setup, configure, instance, [yesterday], **REFRESH)
    assert [acknowledged for *_, acknowledged in alerts(setup, yesterday)] == [True]


def test_first_load_sends_no_alerts(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, runs_at_the_clock: None
) -> None:
    yesterday = setup.clock.today - ONE_DAY
    multiply_spend(setup, yesterday, 20)
    materialize(setup, configure, instance, days(yesterday - 60 * ONE_DAY, 62), **REFRESH)
    assert [acknowledged for *_, acknowledged in alerts(setup, yesterday)] == [True]


def test_partly_failed_first_load_sends_no_alerts(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, runs_at_the_clock: None
) -> None:
    yesterday = setup.clock.today - ONE_DAY
    multiply_spend(setup, yesterday, 20)
    requested_days = days(yesterday - 60 * ONE_DAY, 62)

    def fail(query: Query) -> None:
        first = dt.datetime.fromtimestamp(int(query["start_time"][0]), dt.UTC).date()
        if "group_by" in query and len(setup.stored_days()) > 0 and first < requested_days[30]:
            setup.simulator.faults.queue(Fault(FaultKind.SERVER_ERROR))

    setup.simulated.api_keys_from = requested_days[30]
    setup.simulator.script = fail
    assert not materialize(setup, configure, instance, requested_days, **REFRESH).success
    assert yesterday in setup.stored_days()
    setup.simulator.script = lambda _: None
    setup.simulator.faults.clear()
    for again in (requested_days, requested_days[-4:]):
        assert materialize(setup, configure, instance, again, **REFRESH).success
    assert {acknowledged for *_, acknowledged in alerts(setup, requested_days[0])} == {True}


def test_old_day_of_a_deep_refresh_is_not_alerted(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, runs_at_the_clock: None
) -> None:
    old = setup.clock.today - 20 * ONE_DAY
    materialize(setup, configure, instance, days(old - 60 * ONE_DAY, 80))
    multiply_spend(setup, old, 20)
    materialize(setup, configure, instance, days(old, 16), **REFRESH)
    assert [(event, day, acknowledged) for event, day, acknowledged in alerts(setup, old) if not acknowledged] == []
    assert ("opened", old, True) in alerts(setup, old)


def test_alert_has_figures_page_and_chart(
    setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance, runs_at_the_clock: None
) -> None:
    yesterday = setup.clock.today - ONE_DAY
    materialize(setup, configure, instance, days(yesterday - 60 * ONE_DAY, 60))
    multiply_spend(setup, yesterday, 20)
    materialize(setup, configure, instance, [yesterday], **REFRESH)
    ((facts, page, chart, impact),) = setup.query(
        "select facts, page, chart, impact from openai_costs.outbox join openai_costs.anomalies using (anomaly_id)"
        " where event = 'opened' and outbox.usage_date = %s",
        yesterday,
    )
    assert [label for label, _ in facts] == ["Spent", "Expected", "Usual", "Impact", "Severity"]
    assert dict(facts)["Impact"] == f"+${impact:,.2f}"
    assert page == f"/assets/openai/acme/costs?view=checks&checkDetail=anomalous_spend&partition={yesterday}"
    assert bytes(chart).startswith(b"\x89PNG")
    assert impact > Decimal(5)
