"""Contract of docs/dagster.md: it documents exactly the assets, checks and sensors that Dagster shows."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import dagster as dg
import pytest

import openai_costs_dagster
from openai_costs_dagster.configuration import Budget, Configuration, DatabaseSettings, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration.build import build_definitions

PAGE = (Path(openai_costs_dagster.__file__).parents[1] / "docs" / "dagster.md").read_text(encoding="utf-8")
BUDGETS = (Budget(amount_usd=1), Budget(amount_usd=1, user="user-4711"))


@cache
def definitions() -> dg.Definitions:
    """Return the definitions of an organization with all optional features. They load without a database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOWHERE", "postgresql://nobody@127.0.0.1:1/none")
        organization = Organization(name="acme", admin_key=SecretReference(env="KEY"), budgets=BUDGETS)
        database = DatabaseSettings(url=SecretReference(env="NOWHERE"))
        return build_definitions(Configuration(organizations={"acme": organization}, database=database))


def assets() -> set[str]:
    keys = definitions().resolve_asset_graph().get_all_asset_keys()
    return {key.to_user_string().replace("openai/acme/", "openai/<organization>/") for key in keys}


def test_documented_assets_equal_existing_assets() -> None:
    documented = set(re.findall(r"`(openai/[\w<>/-]+)`", PAGE))
    assert documented == assets()


def test_every_asset_has_a_description() -> None:
    graph = definitions().resolve_asset_graph()
    assert [key for key in graph.get_all_asset_keys() if not graph.get(key).description] == []


def test_documented_checks_equal_existing_checks() -> None:
    rows = re.findall(r"^\| `(\w+)`(?: \(([^)]*(?:\([^)]*\)[^)]*)*)\))? \| .{20,} \|$", PAGE, re.MULTILINE)
    keys = definitions().resolve_asset_graph().asset_check_keys
    assert {name for name, _ in rows} == {key.name for key in keys}
    for key in keys:
        of_others = [where for name, where in rows if name == key.name and where]
        if key.asset_key.path[-1] != "costs":
            assert any(key.asset_key.path[-1].replace("_", " ") in where for where in of_others), key


def test_every_check_has_a_description() -> None:
    graph = definitions().resolve_asset_graph()
    for key in graph.asset_check_keys:
        assert graph.get_check_spec(key).description, key


def test_every_sensor_is_documented_and_no_schedule_exists() -> None:
    repository = definitions().get_repository_def()
    sensors = {sensor.name for sensor in repository.sensor_defs}
    headings = " ".join(re.findall(r"^## .*", PAGE, re.MULTILINE))
    assert sensors == set(re.findall(r"`(openai_costs_\w+)`", headings))
    assert repository.schedule_defs == []
    assert all(sensor.description for sensor in repository.sensor_defs)
