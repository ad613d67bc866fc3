"""Tests of Dagster's history in Postgres: no secret is stored, and the history of an organization can be purged."""

import logging
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest
from psycopg import sql

from openai_costs_dagster import asset_paths
from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.runs.purge import purge_organization
from openai_costs_dagster.orchestration.runs.scheduled_refresh import scheduled_tasks
from openai_costs_dagster.orchestration.runtime.instance import environment
from openai_costs_dagster.warehouse.database import Database

from ...conftest import Clock, Configure, OpenInstance
from ...sync_fixtures import MakeSyncSetup
from ...sync_setup import SyncSetup, days, small_organization
from ..assets.test_costs import START, WEEK
from ..launching import KEY, materializations, run

pytestmark = pytest.mark.usefixtures("runs_at_the_clock")

TAIL = "QZXW"  # The last characters of the admin key, which the API returns in its error messages.
KEY_WITH_A_TAIL = f"sk-admin-simulated-{TAIL}"
PASSWORD = "hunter2xyz"


def everything(database: Database) -> Iterator[tuple[str, str]]:
    """Return every row of every table of the database as text, decompressed, with the name of the table."""
    with database.connect() as connection:
        tables = connection.execute(
            """
            select table_schema, table_name from information_schema.tables
            where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'
            """
        ).fetchall()
        for schema, table in tables:
            rows = connection.execute(sql.SQL("select t::text from {} as t").format(sql.Identifier(schema, table)))
            for (text,) in rows:
                yield table, text
                for packed in re.findall(r"\\\\x([0-9a-f]+)", text):
                    yield table, unpacked(bytes.fromhex(packed))


def unpacked(body: bytes) -> str:
    try:
        return zlib.decompress(body).decode()
    except (zlib.error, UnicodeDecodeError):
        return ""


def tables_with(database: Database, text: str) -> set[str]:
    return {table for table, row in everything(database) if text in row}


def with_password(database: Database) -> Database:
    """Return the database with a password in its URL. The server accepts any password on its Unix socket."""
    parts = urlsplit(database.url)
    if parts.password:
        return database
    return Database(parts._replace(netloc=f"{parts.username}:{PASSWORD}@{parts.hostname or ''}").geturl())


@pytest.fixture
def setup(make_sync_setup: MakeSyncSetup) -> SyncSetup:
    simulated = small_organization(users_with_projects_served=True, admin_key=KEY_WITH_A_TAIL)
    return make_sync_setup(simulated, start_date=START)


def test_no_secret_is_in_any_event_tag_metadata_table_file_or_log(
    setup: SyncSetup,
    configure: Configure,
    open_instance: OpenInstance,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    database = with_password(setup.database)
    password = urlsplit(database.url).password or ""
    configuration = configure(setup.organization, database=database)
    secret_files = {tmp_path / "acme.key", tmp_path / "database.url"}
    instance = open_instance(configuration, database)
    with caplog.at_level(logging.DEBUG):
        assert run(configuration, instance, WEEK).success
        # The error message for a revoked key contains the first and the last characters of the key.
        setup.simulated.revoke_key()
        assert not run(configuration, instance, WEEK).success
        down = f"postgresql://ann:{password}@127.0.0.1:1/x"
        assert not run(configure(setup.organization, database=down), instance, WEEK).success
        setup.organization = setup.organization.model_copy(update={"base_url": "http://127.0.0.1:1/v1"})
        assert not run(configure(setup.organization, database=database), instance, WEEK[:1]).success
    assert tables_with(setup.database, "Incorrect API key provided: [redacted]"), "the search has to find what is there"
    assert tables_with(setup.database, '"line_item": "gpt-5-mini-2025-08-07, input"') == {"raw_buckets"}
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file not in secret_files]
    outputs = [caplog.text, *capfd.readouterr(), *(file.read_text(errors="replace") for file in files)]
    assert "PostgreSQL at" in caplog.text
    for secret in (KEY_WITH_A_TAIL, TAIL, password):
        assert tables_with(setup.database, secret) == set()
        assert not any(secret in text for text in outputs)


def test_purged_organization_is_deleted_and_others_stay(
    setup: SyncSetup, make_sync_setup: MakeSyncSetup, configure: Configure, open_instance: OpenInstance
) -> None:
    other = make_sync_setup(
        small_organization(organization_id="org-BETA", admin_key="sk-admin-simulated-beta", seed=7),
        name="beta",
        start_date=START,
    )
    configuration: Configuration = configure(setup.organization, other.organization, database=setup.database)
    instance = open_instance(configuration, setup.database)
    beta = asset_keys.costs_key(OrganizationName("beta"))
    for key in (KEY, beta):
        assert run(configuration, instance, WEEK, key=key).success
    record_check_alone(instance)
    before = materializations(instance, beta)
    deleted = purge_organization(setup.database, environment(configuration, setup.database), OrganizationName("acme"))
    assert deleted["cost_days"] == 7
    assert materializations(instance) == {}
    assert materializations(instance, beta) == before
    assert other.stored() == other.expected(WEEK)
    assert [run.asset_selection for run in instance.get_runs()] == [frozenset({beta})]
    assert not [table for table, text in everything(setup.database) if '"acme"' in text and table != "snapshots"]


def test_assets_with_another_key_prefix_are_refreshed_evaluated_and_purged(
    setup: SyncSetup, configure: Configure, open_instance: OpenInstance
) -> None:
    configuration = configure(setup.organization, database=setup.database, asset_key_prefix=("finance", "openai"))
    organization = configuration.organization("acme")
    instance = open_instance(configuration, setup.database)
    costs = asset_keys.costs_key(organization)
    assert costs.path == ["finance", "openai", "acme", "costs"]
    result = run(configuration, instance, WEEK, key=costs)
    assert result.success
    assert set(materializations(instance, costs)) == {day.isoformat() for day in WEEK}
    assert {evaluation.asset_key for evaluation in result.get_asset_check_evaluations()} == {costs}
    purge_organization(setup.database, environment(configuration, setup.database), organization)
    assert materializations(instance, costs) == {}
    assert not [table for table, text in everything(setup.database) if '"acme"' in text and table != "snapshots"]


def record_check_alone(instance: dg.DagsterInstance) -> None:
    """Record a run of the anomaly check without its asset. The checks page of the Dagster UI starts such runs."""
    instance.add_run(
        dg.DagsterRun(
            job_name="__ASSET_JOB",
            asset_selection=frozenset(),
            asset_check_selection=frozenset({dg.AssetCheckKey(KEY, asset_paths.ANOMALOUS_SPEND)}),
            status=dg.DagsterRunStatus.SUCCESS,
        )
    )


def test_scheduled_tasks_are_those_of_one_daily_tick(
    setup: SyncSetup, configure: Configure, open_instance: OpenInstance, clock: Clock
) -> None:
    configuration = configure(setup.organization, database=setup.database)
    instance = open_instance(configuration, setup.database)
    read = days(START, (clock.today - START).days + 1)
    for day in read:
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition=day.isoformat()))
    (task,) = scheduled_tasks(configuration, environment(configuration, setup.database), clock.now)
    assert list(task.days) == read[-4:]
    assert (task.organization, task.tags) == ("acme", {asset_keys.TRIGGER_TAG: "schedule"})
