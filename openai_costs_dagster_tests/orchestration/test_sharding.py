"""Tests of shards: each organization is in one code location, and the first location contains the shared assets."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import dagster as dg
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.cli.dagster_dev import code_locations, workspace_of
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.sharding import ORGANIZATIONS_PER_SHARD, Shard, shards
from openai_costs_dagster.shards import _definitions

from ..conftest import Configure

NAMES = [f"org{number}" for number in range(7)]


@pytest.fixture
def configuration(configure: Configure) -> Configuration:
    return configure(*(Organization(name=name, admin_key=SecretReference(env=f"KEY_{name}")) for name in NAMES))


@pytest.fixture(autouse=True)
def _no_cached_definitions() -> None:
    _definitions.cache_clear()


def made(definitions: dg.Definitions) -> set[dg.AssetKey]:
    dg.Definitions.validate_loadable(definitions)
    return set(definitions.resolve_asset_graph().executable_asset_keys)


@given(st.integers(1, 5_000))
def test_shards_contain_all_organizations_evenly(organizations: int) -> None:
    held = [sum(shard.contains(place) for place in range(organizations)) for shard in shards(organizations)]
    assert sum(held) == organizations
    assert max(held) <= ORGANIZATIONS_PER_SHARD
    assert max(held) - min(held) <= 1
    assert [shard.is_first for shard in shards(organizations)].count(True) == 1


def test_shards_contain_each_asset_once(configuration: Configuration) -> None:
    whole = made(build_definitions(configuration))
    found = [made(build_definitions(configuration, shard=Shard(number, 3))) for number in (1, 2, 3)]
    assert set().union(*found) == whole
    assert sum(map(len, found)) == len(whole)
    assert {asset_keys.spend_report_key(configuration), asset_keys.focus_export_key(configuration)} <= found[0]


def test_each_shard_has_a_refresh_sensor_and_the_first_has_the_shared_sensors(configuration: Configuration) -> None:
    sensors = [
        {sensor.name for sensor in build_definitions(configuration, shard=Shard(number, 2)).sensors or ()}
        for number in (1, 2)
    ]
    assert sensors == [
        {"openai_costs_refresh", "openai_costs_alerts", "openai_costs_late_days"},
        {"openai_costs_refresh"},
    ]


def test_no_two_organizations_share_a_backfill_policy(configuration: Configuration) -> None:
    built = [build_definitions(configuration, shard=Shard(number, 2)).resolve_asset_graph() for number in (1, 2)]
    policies = [
        graph.get(key).backfill_policy
        for graph in built
        for key in graph.executable_asset_keys
        if key.path[-1] == "costs"
    ]
    assert len(set(policies)) == len(NAMES)


def test_dagster_loads_a_shard_by_its_name(monkeypatch: pytest.MonkeyPatch, configuration: Configuration) -> None:
    monkeypatch.setattr("openai_costs_dagster.configuration.load", lambda: configuration)
    found = ModuleCodePointer("openai_costs_dagster.shards", "shard_2_of_3").load_target()
    assert isinstance(found, dg.Definitions)
    assert made(found) == made(build_definitions(configuration, shard=Shard(2, 3)))


def test_shard_is_built_once_per_process(monkeypatch: pytest.MonkeyPatch, configuration: Configuration) -> None:
    load = Mock(return_value=configuration)
    monkeypatch.setattr("openai_costs_dagster.configuration.load", load)
    pointer = ModuleCodePointer("openai_costs_dagster.shards", "shard_1_of_3")
    assert pointer.load_target() is pointer.load_target()
    load.assert_called_once_with()


@pytest.mark.parametrize("name", ["shard_0_of_3", "shard_4_of_3"])
def test_shard_outside_its_count_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch, configuration: Configuration
) -> None:
    monkeypatch.setattr("openai_costs_dagster.configuration.load", lambda: configuration)
    with pytest.raises(ValueError, match="shards are numbered from 1"):
        ModuleCodePointer("openai_costs_dagster.shards", name).load_target()


def test_up_uses_several_code_locations_for_many_organizations() -> None:
    def locations(organizations: int) -> list[str]:
        workspace = yaml.safe_load(workspace_of(code_locations(organizations), Path("sockets")))
        return [location["grpc_server"]["location_name"] for location in workspace["load_from"]]

    assert locations(ORGANIZATIONS_PER_SHARD) == ["openai_costs"]
    assert locations(ORGANIZATIONS_PER_SHARD + 1) == ["openai_costs_1", "openai_costs_2"]
