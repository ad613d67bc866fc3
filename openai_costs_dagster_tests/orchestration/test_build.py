"""Tests of the definitions: they load without database and secrets, and are equal for all entry points."""

import datetime as dt
import runpy
from pathlib import Path

import dagster as dg
import pytest

from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Configuration, DatabaseSettings, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY, utc_now
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.assets import table_schemas
from openai_costs_dagster.orchestration.build import build_definitions, partitioned_asset_keys
from openai_costs_dagster.orchestration.partitions import histories
from openai_costs_dagster.warehouse import embedded, organizations
from openai_costs_dagster.warehouse.database import Connection, Database

from ..conftest import NOW, Configure

NO_KEY = SecretReference(env="NO_SUCH_VARIABLE")
DAY = dt.date(2026, 1, 5)


def organization(name: str, start_date: dt.date | None = DAY) -> Organization:
    return Organization(
        name=name, admin_key=SecretReference(env=f"KEY_OF_{name.replace('-', '_')}"), start_date=start_date
    )


def spec_of(definitions: dg.Definitions, name: str) -> dg.AssetSpec:
    (spec,) = (
        spec
        for spec in definitions.resolve_all_asset_specs()
        if spec.key == asset_keys.costs_key(OrganizationName(name))
    )
    return spec


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/x", "no URL at all", None])
def test_definitions_load_with_postgres_down_and_without_secrets(configure: Configure, url: str | None) -> None:
    configuration = configure(organization("acme"), organization("a-b", start_date=None), database=url)
    if url is None:
        configuration = configuration.model_copy(update={"database": DatabaseSettings(url=NO_KEY)})
    dg.Definitions.validate_loadable(build_definitions(configuration))


def test_loading_does_not_create_an_embedded_server(configure: Configure) -> None:
    configuration = configure(organization("acme"))
    dg.Definitions.validate_loadable(build_definitions(configuration))
    assert not embedded.exists(configuration.data_directory)


def test_assets_ops_and_pools_contain_the_organizations_name(configure: Configure) -> None:
    definitions = build_definitions(configure(organization("acme-labs")))
    asset = definitions.resolve_assets_def(asset_keys.costs_key(OrganizationName("acme-labs")))
    spec = spec_of(definitions, "acme-labs")
    assert spec.key.path == ["openai", "acme-labs", "costs"]
    assert spec.group_name == "acme_labs"
    assert {"dagster/kind/openai", "dagster/kind/postgres"} <= set(spec.tags)
    assert asset.op.pool == "openai_acme-labs"
    checks = {check.name for check in definitions.resolve_asset_graph().asset_check_keys}
    assert checks == {"complete", "reconciles", "anomalous_spend", "usage_matches_bill", "latest_day"}
    assert definitions.get_repository_def().get_job("__ASSET_JOB")


def test_every_asset_has_description_columns_and_owners(configure: Configure) -> None:
    owned = organization("acme").model_copy(update={"dagster_owners": ("team:finops", "vera@acme.example")})
    specs = {spec.key: spec for spec in build_definitions(configure(owned)).resolve_all_asset_specs()}
    for key, spec in specs.items():
        assert len(spec.description or "") > 100
        if spec.partitions_def and spec.key.path[-1] != "focus_export":
            # Dagster's backfill dialog shows this number.
            assert "maximum of 100000 partitions per run" in (spec.description or "")
        assert asset_keys.organization_of(key, ["openai"]) != "acme" or list(spec.owners) == [
            "team:finops",
            "vera@acme.example",
        ]
        assert asset_keys.organization_of(key, ["openai"]) != "acme" or "dagster/column_schema" in spec.metadata


def test_column_schemas_match_the_views(connection: Connection) -> None:
    for view, schema in {
        "daily_costs": table_schemas.DAILY_COSTS,
        "daily_usage": table_schemas.DAILY_USAGE,
        "allocated_costs": table_schemas.ALLOCATED_COSTS,
        "directory": table_schemas.DIRECTORY,
    }.items():
        found = connection.execute(
            "select column_name from information_schema.columns"
            " where table_schema = 'openai_costs' and table_name = %s",
            [view],
        )
        assert {column.name for column in schema.columns} <= {name for (name,) in found}


def test_every_check_has_its_assets_partitions_and_does_not_block(configure: Configure) -> None:
    graph = build_definitions(configure(organization("acme"))).resolve_asset_graph()
    for key in graph.asset_check_keys:
        node = graph.get(key)
        assert node.partitions_def == graph.get(asset_keys.costs_key(OrganizationName("acme"))).partitions_def
        assert not node.blocking


def test_partitioned_assets_share_one_run_per_range(configure: Configure) -> None:
    acme = organization("acme")
    graph = build_definitions(configure(acme)).resolve_asset_graph()
    family = [graph.get(key) for key in partitioned_asset_keys(acme)]
    assert [node.key.path[-1] for node in family] == ["costs", "usage", "allocated_costs"]
    assert len({id(node.partitions_def) for node in family}) == 1
    assert len({node.backfill_policy for node in family}) == 1


def test_usage_and_directory_assets_can_be_disabled(configure: Configure) -> None:
    acme = organization("acme").model_copy(update={"usage": False, "read_names": False})
    keys = build_definitions(configure(acme)).resolve_asset_graph().get_all_asset_keys()
    ours = {key for key in keys if asset_keys.organization_of(key, ["openai"]) == "acme"}
    assert ours == {
        asset_keys.costs_key(OrganizationName("acme")),
        asset_keys.allocated_costs_key(OrganizationName("acme")),
    }


def test_partitions_are_utc_days_from_the_start_to_today(configure: Configure) -> None:
    definitions = build_definitions(configure(organization("acme")))
    partitions = spec_of(definitions, "acme").partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert partitions.timezone == "UTC"
    now = dt.datetime(2026, 1, 7, 0, 0, 1, tzinfo=dt.UTC)
    assert partitions.get_partition_keys(now) == ["2026-01-05", "2026-01-06", "2026-01-07"]


def test_partitions_begin_at_the_onboarded_start_or_a_later_start_date(
    configure: Configure, database: Database
) -> None:
    served = utc_now().date() - 300 * ONE_DAY
    start_dates = {"onboarded": None, "later": served + ONE_DAY, "earlier": served - ONE_DAY, "not-onboarded": None}
    with database.connect() as connection:
        for name, start in start_dates.items():
            organizations.register(connection, name, display_name=None, start_date=start)
            if name != "not-onboarded":
                organizations.record_onboarding(connection, name, served, NOW)
    configuration = configure(*(organization(name, start) for name, start in start_dates.items()), database=database)
    starts = {name: history.first_day for name, history in histories(configuration).items()}
    assert [starts[name] for name in ("onboarded", "later", "earlier")] == [served, served + ONE_DAY, served]
    assert starts["not-onboarded"] == utc_now().date() - 365 * ONE_DAY


def test_database_without_schema_falls_back_to_a_year(configure: Configure, empty_database: Database) -> None:
    assert histories(configure(organization("acme"), database=empty_database)) == {"acme": (DAY, 366)}


def test_organizations_share_sensors_and_have_no_jobs(configure: Configure) -> None:
    repository = build_definitions(configure(organization("acme"), organization("beta"))).get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "openai_costs_refresh",
        "openai_costs_alerts",
        "openai_costs_late_days",
    }
    assert {sensor.default_status for sensor in repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}
    assert [job.name for job in repository.get_all_jobs()] == ["__ASSET_JOB"]


def test_range_of_any_length_is_one_run_per_organization(configure: Configure) -> None:
    # Dagster puts assets with equal partitions and backfill policies into one run, so one failure would fail both.
    graph = build_definitions(configure(organization("acme"), organization("beta"))).resolve_asset_graph()
    acme, beta = (graph.get(asset_keys.costs_key(OrganizationName(name))).backfill_policy for name in ("acme", "beta"))
    assert acme
    assert beta
    assert acme != beta
    for policy in (acme, beta):
        assert policy.max_partitions_per_run is None or policy.max_partitions_per_run > 100 * 366


def test_automation_off_stops_sensors_and_removes_conditions(configure: Configure) -> None:
    definitions = build_definitions(configure(organization("acme")), automation=False)
    sensors = definitions.get_repository_def().sensor_defs
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.STOPPED}
    assert spec_of(definitions, "acme").automation_condition is None


FILE = """
organizations:
  acme:
    admin_key: {env: NO_SUCH_VARIABLE}
    start_date: 2026-01-05
"""


def test_definitions_module_reads_the_file_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "somewhere.yaml"
    file.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", str(file))
    definitions = runpy.run_module("openai_costs_dagster.definitions")["defs"]
    dg.Definitions.validate_loadable(definitions)
    assert spec_of(definitions, "acme").key == asset_keys.costs_key(OrganizationName("acme"))


def test_loading_time_is_linear_in_organizations(configure: Configure) -> None:
    configuration: Configuration = configure(*(organization(f"org{number}") for number in range(100)))
    definitions = build_definitions(configuration)
    assert len(definitions.get_repository_def().get_all_jobs()) == 1
    assert len(list(definitions.resolve_asset_graph().asset_check_keys)) == 600
