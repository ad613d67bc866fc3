"""Tests of the Dagster component: settings, error messages, project attributes and scaffold."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components import ScaffoldRequest

from openai_costs_dagster import OpenAICostsComponent
from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.component import OpenAICostsScaffolder
from openai_costs_dagster.configuration import Configuration, ConfigurationError
from openai_costs_dagster.orchestration import asset_keys

ACME = "organizations: {acme: {admin_key: {env: ACME_KEY}, start_date: '2026-01-01'}}\n"


def component(text: str) -> OpenAICostsComponent:
    resolved = OpenAICostsComponent.resolve_from_yaml(text)
    assert isinstance(resolved, OpenAICostsComponent)
    return resolved


def definitions(text: str, folder: Path) -> dg.Definitions:
    built = dg.build_defs_for_component(component(f"{text}data_directory: {folder}\n"))
    dg.Definitions.validate_loadable(built)
    return built


def specs(text: str, folder: Path) -> list[dg.AssetSpec]:
    return list(definitions(text, folder).resolve_all_asset_specs())


def test_attributes_give_the_same_configuration_as_a_file(tmp_path: Path) -> None:
    text = ACME + "refresh: {trailing_days: 7}\nanomalies: {minimum_impact_usd: 5.1}\ndata_directory: here\n"
    (tmp_path / "openai_costs.yaml").write_text(text, encoding="utf-8")
    found = component(text).configuration(tmp_path)
    assert found == component("config: openai_costs.yaml").configuration(tmp_path).model_copy(update={"source": None})
    assert found.anomalies.minimum_impact_usd == Decimal("5.1")
    assert found.data_directory == tmp_path / "here"


def test_every_setting_is_an_attribute() -> None:
    assert set(Configuration.model_fields) - {"source"} <= set(OpenAICostsComponent.model_fields)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("organizations: {}", "organizations is empty"),
        ("organizations: {acme: {}}", "organizations.acme.admin_key: 'admin_key' is missing"),
        (ACME + "refresh: {crons: x}", "refresh.crons: 'crons' is not a setting here; allowed are cron,"),
        ("organizations: {acme: {admin_key: '{{ env.ACME_KEY }}'}}", r"write \{env: NAME\} or \{file: PATH\}"),
        (ACME + "config: openai_costs.yaml", "config names a file with all settings: move organizations into"),
        (ACME + "asset_key_prefix: [fin/ops]", "'fin/ops' cannot be part of an asset key"),
        (ACME + "asset_key_prefix: []", "asset_key_prefix"),
        (
            ACME.replace("admin_key", "asset_key_prefix: [x], admin_key"),
            "which applies to all: move it to the top level",
        ),
        (ACME + "checks: [reconciles]", "checks"),
    ],
)
def test_invalid_attributes_have_the_same_messages_as_the_file(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", "sk-admin-secret")
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        component(text).configuration(tmp_path)
    assert "sk-admin-secret" not in str(caught.value)


def test_loading_the_component_resolves_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "sk-admin-secret")
    loaded = component(ACME)
    assert "sk-admin-secret" not in repr(loaded) + repr(loaded.configuration(tmp_path))


def test_component_loads_without_secrets_and_has_a_refresh_sensor(tmp_path: Path) -> None:
    built = definitions(ACME, tmp_path)
    assert "openai_costs_refresh" in {sensor.name for sensor in built.sensors or ()}
    assert asset_keys.costs_key(OrganizationName("acme")) in {spec.key for spec in built.resolve_all_asset_specs()}


def test_sensors_are_stopped_if_automation_is_off(tmp_path: Path) -> None:
    built = definitions(ACME + "automation: false\n", tmp_path)
    sensors = [sensor for sensor in built.sensors or () if isinstance(sensor, dg.SensorDefinition)]
    assert "openai_costs_refresh" not in {sensor.name for sensor in sensors}
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.STOPPED}
    assert {spec.automation_condition for spec in built.resolve_all_asset_specs()} == {None}


def test_group_tags_and_owners_apply_to_all_assets(tmp_path: Path) -> None:
    text = ACME + "group_name: finance\ntags: {domain: money}\nowners: ['team:finops']\n"
    found = specs(text, tmp_path)
    assert {spec.group_name for spec in found} == {"finance"}
    assert all(spec.tags["domain"] == "money" and "team:finops" in spec.owners for spec in found)
    costs = next(spec for spec in found if spec.key == asset_keys.costs_key(OrganizationName("acme")))
    assert costs.tags[asset_keys.ORGANIZATION_TAG] == "acme"
    assert costs.automation_condition is not None
    assert costs.partitions_def is not None


def test_asset_keys_begin_with_the_configured_prefix(tmp_path: Path) -> None:
    text = ACME + "asset_key_prefix: [finance, openai]\n"
    keys = [spec.key.path for spec in specs(text, tmp_path)]
    assert ["finance", "openai", "acme", "costs"] in keys
    assert all(key[:2] == ["finance", "openai"] for key in keys)


def test_names_of_sensors_and_ops_contain_the_key_prefix(tmp_path: Path) -> None:
    first = definitions(ACME, tmp_path)
    second = definitions(ACME + "asset_key_prefix: [finance, open-ai]\n", tmp_path)
    assert {sensor.name for sensor in second.sensors or ()} == {
        "finance_open_ai_costs_refresh",
        "finance_open_ai_costs_alerts",
        "finance_open_ai_costs_late_days",
    }
    merged = dg.Definitions.merge(first, second).get_repository_def()
    assert len(merged.sensor_defs) == 6
    assert merged.get_implicit_global_asset_job_def()


@pytest.mark.parametrize("optional_checks", [[], ["latest_day"], ["anomalous_spend", "budgets"]])
def test_optional_checks_are_configurable(tmp_path: Path, optional_checks: list[str]) -> None:
    text = ACME.replace("'2026-01-01'", "'2026-01-01', budgets: [{amount_usd: 5}]") + f"checks: {optional_checks}\n"
    graph = definitions(text, tmp_path).resolve_asset_graph()
    found = {check.name for check in graph.asset_check_keys}
    assert found == {"complete", "reconciles", "usage_matches_bill", *optional_checks}


def test_scaffolded_file_loads(tmp_path: Path) -> None:
    name = "openai_costs_dagster.OpenAICostsComponent"
    request = ScaffoldRequest[Any](
        type_name=name, target_path=tmp_path / "openai", scaffold_format="yaml", project_root=tmp_path, params=None
    )
    OpenAICostsScaffolder().scaffold(request)
    written = yaml.safe_load((tmp_path / "openai" / "defs.yaml").read_text(encoding="utf-8"))
    assert written["type"] == name
    assert specs(yaml.safe_dump(written["attributes"]), tmp_path)


def test_every_commented_line_of_the_scaffold_is_valid(tmp_path: Path) -> None:
    request = ScaffoldRequest[Any](
        type_name="x", target_path=tmp_path, scaffold_format="yaml", project_root=tmp_path, params=None
    )
    OpenAICostsScaffolder().scaffold(request)
    lines = (tmp_path / "defs.yaml").read_text(encoding="utf-8").splitlines()
    used = [line.replace("# ", "", 1) if line.startswith("  ") and line.lstrip()[0] == "#" else line for line in lines]
    attributes = yaml.safe_load("\n".join(used))["attributes"]
    assert attributes.pop("config") == "openai_costs.yaml"
    assert component(yaml.safe_dump(attributes)).configuration(tmp_path).alerts


def test_build_definitions_is_public_and_the_package_loads_without_dagster() -> None:
    code = (
        "import sys, openai_costs_dagster as package\n"
        "assert {'OpenAICostsComponent', 'build_definitions'} <= set(dir(package))\n"
        "sys.exit('dagster' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0  # noqa: S603
