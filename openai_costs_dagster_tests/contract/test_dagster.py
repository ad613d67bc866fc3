"""Tests of undocumented Dagster behavior that this project depends on and that a new Dagster release may change."""

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import pytest
import sqlalchemy
from dagster._core.storage import tags

from openai_costs_dagster import asset_paths
from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.check_results import Target, evaluation, targets
from openai_costs_dagster.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG, range_tags
from openai_costs_dagster.orchestration.runtime import pooled_engine
from openai_costs_dagster.orchestration.runtime.instance import storage_url
from openai_costs_dagster.orchestration.runtime.storages import EventLogStorage
from openai_costs_dagster.warehouse.database import Database

from ..cli.program import until
from ..conftest import Configure, OpenInstance

KEY = asset_keys.costs_key(OrganizationName("acme"))
DAY = dt.date(2026, 3, 2)


def test_target_materialization_class_has_three_fields() -> None:
    assert Target._fields == ("storage_id", "run_id", "timestamp")  # type: ignore[attr-defined]
    target = Target(storage_id=7, run_id="run", timestamp=1.5)
    assert (target.storage_id, target.run_id, target.timestamp) == (7, "run", 1.5)


def test_dagster_tag_names_are_unchanged() -> None:
    assert tags.ASSET_PARTITION_RANGE_START_TAG == RANGE_START_TAG
    assert tags.ASSET_PARTITION_RANGE_END_TAG == RANGE_END_TAG
    assert list(asset_keys.NO_RUN_RETRIES) == [tags.RETRY_ON_ASSET_OR_OP_FAILURE_TAG]
    assert tags.AUTOMATION_CONDITION_TAG == "dagster/from_automation_condition"
    assert tags.BACKFILL_ID_TAG == "dagster/backfill"


def test_bare_postgresql_url_selects_psycopg_3() -> None:
    assert sqlalchemy.make_url("postgresql://h/d").get_dialect().driver == "psycopg"


@pytest.fixture
def open_stored_instance(
    open_instance: OpenInstance, configure: Configure, database: Database
) -> Callable[[], dg.DagsterInstance]:
    """Return a function that opens a new instance whose storage is the test database."""
    organization = Organization(name="acme", admin_key=SecretReference(env="NO_KEY"), start_date=DAY)
    configuration: Configuration = configure(organization, database=database)
    return lambda: open_instance(configuration, database)


def fetch_rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(query).fetchall()


def test_event_log_storage_returns_materializations_and_check_results(
    open_stored_instance: Callable[[], dg.DagsterInstance], database: Database
) -> None:
    instance = open_stored_instance()
    assert isinstance(instance.event_log_storage, EventLogStorage)
    for _ in range(2):
        instance.report_runless_asset_event(
            dg.AssetMaterialization(KEY, partition=DAY.isoformat(), metadata={"spend_exact": "1.5 USD"})
        )
    (target,) = targets(instance, KEY, [DAY]).values()
    newest, _ = instance.fetch_materializations(KEY, limit=2).records
    assert target.storage_id == newest.storage_id  # The target is the newer of the two materializations.
    instance.report_runless_asset_event(
        evaluation(
            KEY,
            asset_paths.COMPLETE,
            DAY,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="a row without an amount",
            target=target,
        )
    )

    # A second instance reads from the database, as another process would.
    another = open_stored_instance()
    assert another is not instance
    (record,) = another.fetch_materializations(KEY, limit=1).records
    assert record.asset_materialization
    assert record.asset_materialization.metadata["spend_exact"].value == "1.5 USD"
    check = dg.AssetCheckKey(KEY, asset_paths.COMPLETE)
    (execution,) = another.event_log_storage.get_asset_check_execution_history(check, limit=5)
    assert execution.event
    assert execution.event.dagster_event
    found = execution.event.dagster_event.asset_check_evaluation_data
    assert (found.passed, found.partition, found.severity) == (False, DAY.isoformat(), dg.AssetCheckSeverity.WARN)
    assert found.target_materialization_data == target

    where = "select distinct table_schema from information_schema.tables where table_name = 'event_logs'"
    assert fetch_rows(database, where) == [("openai_costs_dagster",)]


def test_autovacuum_analyzes_new_events_in_a_large_event_log(
    open_stored_instance: Callable[[], dg.DagsterInstance], database: Database
) -> None:
    open_stored_instance()
    with database.connect() as connection:
        ((options,),) = connection.execute(
            "select reloptions from pg_class where oid = 'openai_costs_dagster.event_logs'::regclass"
        ).fetchall()
    assert {"autovacuum_analyze_scale_factor=0", "autovacuum_analyze_threshold=5000"} <= set(options)


SESSIONS = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"


def test_storages_share_two_connections_and_close_them(
    open_stored_instance: Callable[[], dg.DagsterInstance], database: Database
) -> None:
    instance = open_stored_instance()
    (before,) = fetch_rows(database, f"select count(*) {SESSIONS}")[0]
    for day in DayRange(DAY, DAY + dt.timedelta(days=20)):
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=day.isoformat()))
        instance.get_runs(limit=1)
        instance.all_instigator_state()
    assert len(instance.fetch_materializations(KEY, limit=50).records) == 21
    # Dagster may read one event while it stores another, which takes two connections.
    assert fetch_rows(database, f"select count(*) {SESSIONS}")[0][0] <= before + 2
    instance.dispose()
    # The server needs a moment to notice closed connections.
    until(lambda: fetch_rows(database, f"select count(*) {SESSIONS}") == [(0,)])


def test_connection_terminated_by_the_server_is_replaced(
    open_stored_instance: Callable[[], dg.DagsterInstance], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled_engine, "_PING_AFTER_IDLE_S", 0)
    instance = open_stored_instance()
    assert instance.get_runs() == []
    assert fetch_rows(database, f"select pg_terminate_backend(pid, 10000) {SESSIONS}")
    assert instance.get_runs() == []


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
def test_two_tags_select_the_partition_range_of_a_run() -> None:
    partitions = dg.DailyPartitionsDefinition(DAY.isoformat(), timezone="UTC", end_offset=1)
    partition_keys: list[str] = []

    @dg.asset(key=KEY, partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
    def costs(context: dg.AssetExecutionContext) -> None:
        partition_keys.extend(context.partition_keys)

    days = DayRange(DAY, DAY + dt.timedelta(days=2))
    assert dg.materialize([costs], tags=range_tags(days)).success
    assert partition_keys == [day.isoformat() for day in days]


def test_dagster_storage_is_in_the_configured_database(database: Database) -> None:
    assert urlsplit(storage_url(database)).path == urlsplit(database.url).path
