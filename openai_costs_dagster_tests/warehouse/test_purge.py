"""Tests that purging an organization deletes all of its rows and no rows of other organizations."""

from decimal import Decimal

from sqlalchemy import Table

from openai_costs_dagster import records
from openai_costs_dagster.cost_records import RefusedGrouping
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.usage_records import OPERATIONS, UsageRow
from openai_costs_dagster.warehouse import (
    allocations,
    anomalies,
    budgets,
    directory,
    incidents,
    line_items,
    open_failures,
    organizations,
    outbox,
    refused_groupings,
    sensor_ticks,
    usage,
)
from openai_costs_dagster.warehouse.anomalies import Finding
from openai_costs_dagster.warehouse.budgets import BudgetState
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.open_failures import OpenFailure
from openai_costs_dagster.warehouse.purge import purge
from openai_costs_dagster.warehouse.schema import metadata
from openai_costs_dagster.warehouse.usage import UsageDay, UsageWindow

from ..conftest import NOW
from .windows import BY_KEY, DAY, everything, row, store

PERSONAL = [table for table in metadata.sorted_tables if "organization" in table.columns]
FINDING = Finding(
    usage_date=DAY,
    series=records.SeriesKey("acme"),
    actual=Decimal(90),
    expected=Decimal(10),
    lower=Decimal(5),
    upper=Decimal(15),
    impact=Decimal(80),
    score=Decimal(9),
    direction="up",
    severity="medium",
    reason="above",
    explanation="Up $80.00.",
    worth_alerting=True,
)


def fill(connection: Connection, name: str) -> None:
    """Store rows in every table that has a column `organization`."""
    organizations.register(connection, name, display_name=None, start_date=None)
    refused_groupings.replace_refusals(connection, name, [BY_KEY], [RefusedGrouping(BY_KEY, None, DAY, NOW)])
    directory.store_project_names(connection, name, {"proj_a": "Search"}, NOW)
    for amount in ("1", "2"):
        store(connection, {DAY: [row(amount)]}, organization=name)
    usage.record_missing_endpoint(connection, name, "usage/decisions", "404", NOW)
    _fill_usage(connection, name)
    anomalies.replace_findings(connection, name, [DAY], [FINDING], trigger="schedule", now=NOW)
    (finding,) = anomalies.findings(connection, name)
    _fill_alerts(connection, name)
    anomalies.store_feedback(connection, finding.anomaly_id, kind="mute", last_day=DAY, reason="known", now=NOW)


def _fill_usage(connection: Connection, name: str) -> None:
    days = DayRange(DAY, DAY)
    counted = UsageRow("proj_a", "user-1", "key_1", "gpt-5", {}, {"input_tokens": Decimal(5)})
    reading = UsageWindow(name, OPERATIONS[0], days, OPERATIONS[0].groups, NOW, frozenset())
    usage.store(connection, reading, [UsageDay(DAY, [counted], b"{}")])
    directory.store_entries(connection, name, [directory.Entry("user", "user-1", "Ada")], NOW)
    total = records.UserTotal("user-1", "gpt-5, input", "usd", Decimal(1))
    allocations.store_user_costs(connection, name, days, {DAY: [total]}, NOW)
    share = records.AllocatedCost("proj_a", "user-1", None, "gpt-5, input", "usd", Decimal(1), "usage")
    shared = allocations.DayAllocation(1, [share], Decimal(1), Decimal(1), Decimal(0), [])
    allocations.store(connection, name, {DAY: shared}, NOW)


def _fill_alerts(connection: Connection, name: str) -> None:
    alert = outbox.Alert(f"sync/{name}", "sync_failure", "failed", "high", "A title", "A sentence.", name)
    outbox.record(connection, alert, NOW)
    outbox.store_message(connection, "mail", name, [1], organization=name, due_at=NOW, now=NOW)
    incident = records.Incident(records.SeriesKey(name), None, "up", DAY, DAY, Decimal(5), DAY, announced=True)
    incidents.store(connection, name, incident)
    open_failures.store(connection, name, OpenFailure("sync", "days", "A sentence.", "high", [DAY], NOW, NOW))
    amount = Decimal(1)
    state = BudgetState(
        "organization, month", DAY, DAY, "organization", None, amount, amount, amount, amount, amount, DAY
    )
    budgets.store_states(connection, name, [state], NOW)
    budgets.store_openai_budgets(connection, name, [(amount, True)], NOW)
    died = sensor_ticks.DeadRun(f"run of {name}", name, NOW, "its process is gone", is_retried=True)
    sensor_ticks.record_dead_run(connection, died)


def rows_of(connection: Connection, table: Table, name: str) -> int:
    found = connection.execute(
        f"select count(*) from openai_costs.{table.name} where organization = %s",  # noqa: S608  # our own names
        [name],
    ).fetchone()
    assert found
    return int(found[0])


def test_purge_deletes_all_rows_of_one_organization_only(connection: Connection) -> None:
    fill(connection, "other")
    line_items.classify_new(connection, ["a"], lambda label: records.LineItem(label, label), 1)
    others = everything(connection)
    fill(connection, "acme")
    held = {table.name: rows_of(connection, table, "acme") for table in PERSONAL}
    assert all(held.values()), "the test must store rows in every table that has a column `organization`"
    assert purge(connection, "acme") == {**held, "sensor_ticks": 0}
    assert everything(connection) == others


def test_purge_removes_the_organization_from_shared_sensors(connection: Connection) -> None:
    tick = sensor_ticks.SensorTick("costs", "host", "alerts", ["acme", "other"], 15, NOW, "acme: refused")
    sensor_ticks.record_tick(connection, tick)
    assert purge(connection, "acme")["sensor_ticks"] == 1
    (left,) = sensor_ticks.all_ticks(connection)
    assert (left.organizations, left.last_error) == (["other"], None)


def test_purging_an_unknown_organization_deletes_nothing(connection: Connection) -> None:
    fill(connection, "other")
    before = everything(connection)
    assert set(purge(connection, "acme").values()) == {0}
    assert everything(connection) == before
