"""`status` says how far each organization is read and what needs a person, for people and for machines."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from openai_costs_dagster.warehouse.database import Database

from ..loaded import HISTORY, Loaded
from ..midnight import today
from .conftest import Type
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
    return {one["organization"]: one for one in json.loads(machine_readable.out)["organizations"]}


def test_all_is_well(text: Finished, machine_readable: Finished) -> None:
    assert (text.code, text.err) == (0, "")
    assert (machine_readable.code, machine_readable.err) == (0, "")
    assert json.loads(machine_readable.out)["ok"] is True


def test_each_organization_is_a_line_of_the_table(text: Finished) -> None:
    for name in ("acme", "beta"):
        (line,) = [line for line in lines(text.out) if line.strip().startswith(f"{name} ")]
        assert f" {today()} " in line
        assert "$" in line
    assert "\x1b" not in text.out


def test_an_open_anomaly_is_told_in_a_sentence(text: Finished, overviews: dict[str, Any]) -> None:
    sentence, *_ = [said for said in overviews["acme"]["open_anomalies"] if said.startswith(f"{yesterday()}: ")]
    assert sentence.startswith(f"{yesterday()}: Up $")
    assert f"acme: anomaly {sentence}" in lines(text.out)


def test_machines_get_days_and_exact_amounts_as_text(loaded: Loaded, overviews: dict[str, Any]) -> None:
    found = loaded.place.sql(
        """
        select organization, sum(amount) from openai_costs.daily_costs
        where usage_date >= date_trunc('month', %s::date) and organization in ('acme', 'beta')
        group by 1
        """,
        today(),
    )
    for name, spent in found:
        one = overviews[name]
        assert isinstance(one["month_to_date_usd"], str)
        assert Decimal(one["month_to_date_usd"]) == spent
        assert Decimal(one["forecast_usd"]) >= spent
        assert one["last_day"] == str(today())
        assert one["settled_to"] == str(days_ago(3))  # 48 hours after its end
        assert (one["missing_days"], one["missing"], one["needs"], one["last_error"]) == (0, [], [], None)
    assert [one["grouping"] for one in overviews["acme"]["detail"]] == ["project,user,line_item,api_key"]
    assert overviews["acme"]["detail"][0]["first_day"] == str(first_day())


def test_what_needs_a_person_is_said_and_ends_with_1(loaded: Loaded) -> None:
    config = loaded.place.configure(
        loaded.simulator, loaded.organizations, file="earlier.yaml", start_date=days_ago(HISTORY + 2)
    )
    finished = loaded.place.run("status", OPENAI_COSTS_CONFIG=str(config), ACME_KEY="")
    assert (finished.code, finished.err) == (1, "")
    missing = f"days are missing: {days_ago(HISTORY + 2)}..{days_ago(HISTORY)}"
    assert f"acme: {missing}" in lines(finished.out)
    assert f"beta: {missing}" in lines(finished.out)
    assert "acme: its admin key cannot be read: the environment variable ACME_KEY is not set" in lines(finished.out)


def test_nothing_was_read_yet(type_in: Type, database: Database) -> None:
    key = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}
    finished = type_in("status", "--json", DATABASE_URL=database.url, **key)
    assert finished.code == 1
    (one,) = json.loads(finished.out)["organizations"]
    assert (one["organization"], one["last_day"], one["month_to_date_usd"], one["forecast_usd"]) == (
        "default",
        None,
        "0",
        None,
    )
    assert one["needs"] == ["never read: run openai-costs backfill, or leave openai-costs up running"]
