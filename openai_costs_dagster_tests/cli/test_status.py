"""Tests of `status`, which prints the sync status and the required actions as text or as JSON."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from openai_costs_dagster.warehouse.database import Database

from ..loaded import HISTORY, Loaded
from ..midnight import today
from .conftest import RunCommand
from .program import Finished, days_ago, lines, yesterday


def first_day() -> dt.date:
    return days_ago(HISTORY - 1)


@pytest.fixture(scope="module")
def text(loaded: Loaded) -> Finished:
    return loaded.place.run("status")


@pytest.fixture(scope="module")
def machine_readable(loaded: Loaded) -> Finished:
    return loaded.place.run("--log-format", "json", "status", "--json")


@pytest.fixture
def overviews(machine_readable: Finished) -> dict[str, Any]:
    return {overview["organization"]: overview for overview in json.loads(machine_readable.out)["organizations"]}


def test_healthy_status_exits_with_0(text: Finished, machine_readable: Finished) -> None:
    assert (text.code, text.err) == (0, "")
    assert (machine_readable.code, machine_readable.err) == (0, "")
    assert json.loads(machine_readable.out)["ok"] is True


def test_each_organization_is_a_line_of_the_table(text: Finished) -> None:
    for name in ("acme", "beta"):
        (line,) = [line for line in lines(text.out) if line.strip().startswith(f"{name} ")]
        assert f" {today()} " in line
        assert "$" in line
    assert "\x1b" not in text.out


def test_open_anomaly_is_a_line_and_a_json_object(text: Finished, overviews: dict[str, Any]) -> None:
    finding, *_ = [
        anomaly for anomaly in overviews["acme"]["open_anomalies"] if anomaly["usage_date"] == str(yesterday())
    ]
    assert finding["explanation"].startswith("Up $")
    assert f"acme: anomaly {yesterday()}: {finding['explanation']}" in lines(text.out)
    assert (finding["status"], finding["severity"] in {"low", "medium", "high"}) == ("open", True)
    assert Decimal(finding["impact_usd"]) > Decimal(5)
    assert Decimal(finding["actual_usd"]) - Decimal(finding["expected_usd"]) == Decimal(finding["impact_usd"])
    assert isinstance(finding["id"], int)
    assert finding["level"]


def test_budget_is_a_line_and_a_json_object(loaded: Loaded) -> None:
    budgets = [{"amount_usd": 1, "name": "small"}, {"amount_usd": 10_000_000, "period": "year"}]
    config = loaded.place.configure(
        loaded.simulator, loaded.organizations, file="budgets.yaml", start_date=days_ago(HISTORY - 1)
    )
    content = yaml.safe_load(config.read_text())
    content["organizations"]["acme"]["budgets"] = budgets
    config.write_text(yaml.safe_dump(content))
    printed = loaded.place.run("status", OPENAI_COSTS_CONFIG=str(config))
    document = json.loads(loaded.place.run("status", "--json", OPENAI_COSTS_CONFIG=str(config)).out)
    (acme,) = [shown for shown in document["organizations"] if shown["organization"] == "acme"]
    large, small = sorted(acme["budgets"], key=lambda budget: budget["name"])
    assert (small["name"], small["limit_usd"], small["status"]) == ("small, month", "1", "exceeded")
    assert (large["name"], large["scope"], large["scope_id"]) == ("organization, year", "organization", None)
    assert (large["status"], large["period"], small["period"]) == ("within_limit", "year", "month")
    assert (large["period_start"], large["period_end"]) == (f"{today().year}-01-01", f"{today().year}-12-31")
    assert Decimal(large["forecast_usd"]) >= Decimal(large["spent_usd"]) >= Decimal(small["spent_usd"]) > 1
    assert any(line.startswith("acme: budget small, month: $") for line in lines(printed.out))


def test_every_json_key_is_documented(machine_readable: Finished) -> None:
    page = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    missing = [key for key in _keys(json.loads(machine_readable.out)) if f"`{key}`" not in page]
    assert missing == []


def _keys(value: object) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set()


def test_json_has_days_and_exact_amounts_as_text(loaded: Loaded, overviews: dict[str, Any]) -> None:
    found = loaded.place.sql(
        """
        select organization, sum(amount) from openai_costs.daily_costs
        where usage_date >= date_trunc('month', %s::date) and organization in ('acme', 'beta')
        group by 1
        """,
        today(),
    )
    for name, spent in found:
        overview = overviews[name]
        assert isinstance(overview["month_to_date_usd"], str)
        assert Decimal(overview["month_to_date_usd"]) == spent
        assert Decimal(overview["forecast_usd"]) >= spent
        assert overview["last_day"] == str(today())
        assert overview["last_settled_day"] == str(days_ago(3))  # A day is settled 48 hours after its end.
        assert (
            overview["missing_days"],
            overview["missing_ranges"],
            overview["required_actions"],
            overview["last_error"],
        ) == (
            0,
            [],
            [],
            None,
        )
    assert [grouping["grouping"] for grouping in overviews["acme"]["groupings"]] == ["project,user,line_item,api_key"]
    assert overviews["acme"]["groupings"][0]["first_day"] == str(first_day())


def test_required_actions_are_printed_with_exit_code_1(loaded: Loaded) -> None:
    config = loaded.place.configure(
        loaded.simulator, loaded.organizations, file="earlier.yaml", start_date=days_ago(HISTORY + 2)
    )
    finished = loaded.place.run("status", OPENAI_COSTS_CONFIG=str(config), ACME_KEY="")
    assert (finished.code, finished.err) == (1, "")
    missing = f"days are missing: {days_ago(HISTORY + 2)}..{days_ago(HISTORY)}"
    assert f"acme: {missing}" in lines(finished.out)
    assert f"beta: {missing}" in lines(finished.out)
    assert "acme: the admin key cannot be read: the environment variable ACME_KEY is not set" in lines(finished.out)


def test_status_without_any_sync_is_reported(run_command: RunCommand, database: Database) -> None:
    key = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}
    finished = run_command("status", "--json", DATABASE_URL=database.url, **key)
    assert finished.code == 1
    (overview,) = json.loads(finished.out)["organizations"]
    assert (
        overview["organization"],
        overview["last_day"],
        overview["month_to_date_usd"],
        overview["forecast_usd"],
    ) == (
        "default",
        None,
        "0",
        None,
    )
    assert overview["required_actions"] == [
        "never synchronized: run openai-costs backfill, or keep openai-costs up running"
    ]
