"""Sample data of two organizations for the tests of documented queries and dashboards.

`lumen` is synchronized twice. Its data contain an anomaly, a restatement, a missing day, a day that does not reconcile,
budgets, delivered and undelivered alerts, and an unused API key. The name of the other organization contains SQL and
HTML metacharacters, and so does the name of one project of `lumen`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from openai_costs_dagster.configuration import Budget, Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.evaluation import Evaluator
from openai_costs_dagster.records import Trigger, UserTotal
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator, catalogue
from openai_costs_dagster.simulator.companies import LAB, SHOP
from openai_costs_dagster.simulator.workloads import ApiKey, Project, Workload
from openai_costs_dagster.sync.allocation import allocate_days
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.directory import sync_directory
from openai_costs_dagster.sync.usage import UsageRequest, ingest_usage
from openai_costs_dagster.warehouse import allocations, outbox
from openai_costs_dagster.warehouse.database import Connection, Database

from ..conftest import NOW

TODAY = NOW.date()
FIRST_DAY = dt.date(2026, 1, 5)
RESTATED, MISSING, BROKEN = dt.date(2026, 2, 17), dt.date(2026, 2, 20), dt.date(2026, 2, 24)
UNUSUAL = TODAY - 2 * ONE_DAY
HOSTILE_NAME = "o'brien\"; -- & <sons> ${organization} $1"
HOSTILE_PROJECT = Project("proj_'; drop view x; --", "=cmd|' /C calc'!\"A0\"<script>")
IDLE_KEY, STOPPED_KEY = ApiKey("key_simulated_idle"), ApiKey("key_simulated_stopped")

_AT = LAB[0].project
_MORE = (
    Workload(catalogue.MINI, 900_000, "completions", "gpt-5-mini-2025-08-07", HOSTILE_PROJECT, LAB[0].key),
    *(
        Workload(catalogue.MINI, 1_000, "completions", "gpt-5-mini-2025-08-07", _AT, key, chance=0.0)
        for key in (IDLE_KEY, STOPPED_KEY)
    ),
)
_BUDGETS = (
    Budget(amount_usd=9000),
    Budget(amount_usd=500, project="proj_simulated_research"),
    Budget(amount_usd=60, user="user-simulated-ada", period="quarter"),
)


@dataclass(frozen=True)
class Sample:
    """The database with the sample data, the names of its organizations and the days of `lumen`."""

    database: Database
    organizations: tuple[str, str]
    days: tuple[dt.date, ...]


def load(database: Database, folder: Path) -> Sample:
    """Synchronize, evaluate and record alerts for all days, at the time NOW."""
    lab = SimulatedOrganization(
        workloads=(*LAB, *_MORE),
        organization_id="org-SIMULATEDLUMEN",
        admin_key="sk-admin-simulated-lumen",
        api_keys_from=None,
        users_with_projects_served=True,
    )
    lab.restate(FIRST_DAY, lambda facts: (*facts, replace(facts[0], api_key_id=STOPPED_KEY.id)))
    shop = SimulatedOrganization(workloads=SHOP[:4], seed=7)
    days = tuple(FIRST_DAY + number * ONE_DAY for number in range((TODAY - FIRST_DAY).days + 1))
    with Simulator([lab, shop], clock=lambda: NOW) as simulator:
        first = _organization(simulator, lab, folder, "lumen", budgets=_BUDGETS)
        second = _organization(simulator, shop, folder, HOSTILE_NAME)
        _read(database, first, [day for day in days if day != MISSING], "backfill")
        _read(database, second, days[-40:], "backfill")
        lab.restate(RESTATED, lambda facts: (*facts[:1], *facts[2:]))
        lab.plant_anomaly(RESTATED + ONE_DAY, 1.5, project_id=HOSTILE_PROJECT.id)
        lab.plant_anomaly(UNUSUAL, 9, project_id="proj_simulated_retrieval")
        _read(database, first, [day for day in days[-26:] if day != MISSING], "schedule")
        shop.revoke_key()
        assert ingest_costs(CostsRequest(second, database, days[-1:], trigger="schedule", now=lambda: NOW)).failed
    with database.connect() as connection:
        total = UserTotal("user-simulated-ada", "gpt-5-mini-2025-08-07, input", "usd", Decimal(5))
        one_day = DayRange(FIRST_DAY, FIRST_DAY)
        allocations.store_user_costs(connection, first.name, one_day, {FIRST_DAY: [total]}, NOW)
        _break(connection, first.name)
        _deliver(connection)
    return Sample(database, (first.name, second.name), days)


def _organization(
    simulator: Simulator, simulated: SimulatedOrganization, folder: Path, name: str, **settings: Any
) -> Organization:
    file = folder / f"{simulated.organization_id}.key"
    file.write_text(simulated.admin_key, encoding="utf-8")
    return Organization(
        name=name,
        admin_key=SecretReference(file=file),
        base_url=simulator.base_url,
        start_date=FIRST_DAY,
        **settings,
    )


def _read(database: Database, organization: Organization, days: Sequence[dt.date], trigger: Trigger) -> None:
    """Synchronize, allocate and evaluate days, as one run of all assets of an organization does."""
    now = NOW if trigger == "schedule" else NOW - dt.timedelta(minutes=30)
    assert not ingest_costs(CostsRequest(organization, database, days, trigger=trigger, now=lambda: now)).failed
    assert not ingest_usage(UsageRequest(organization, database, days, now=lambda: now)).failed
    sync_directory(organization, database, now=lambda: now)
    configuration = Configuration.model_construct(organizations={organization.name: organization})
    evaluator = Evaluator(organization, configuration, run_id=trigger, trigger=trigger, now=now)
    with database.connect() as connection:
        allocate_days(connection, organization.name, days, now)
        for allocated in (False, True):
            evaluator.evaluate_anomalies(connection, days[-21:], users=allocated)
            evaluator.evaluate_budgets(connection, days[-40:], allocated=allocated)


def _break(connection: Connection, organization: str) -> None:
    """Mark one settled day as not reconciled, as if the sums of two responses differed."""
    connection.execute(
        "update openai_costs.cost_days set reconciled = false, reconcile_difference = 0.5"
        " where organization = %s and usage_date = %s",
        [organization, BROKEN],
    )


def _deliver(connection: Connection) -> None:
    """Store each alert in three channels: delivered to `chat`, given up for `pager` and waiting for `mail`."""
    alerts = [alert.alert_id for alert in outbox.unrouted(connection)]
    assert alerts
    for channel, state in (("chat", "delivered"), ("pager", "dead"), ("mail", "waiting")):
        outbox.store_message(connection, channel, channel, alerts, organization="lumen", due_at=NOW, now=NOW)
        connection.execute(
            "update openai_costs.messages set state = %s, finished_at = case when %s <> 'waiting' then %s end"
            " where channel = %s",
            [state, state, NOW, channel],
        )
