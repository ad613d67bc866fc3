"""Tests of the asset of monthly FOCUS files: its runs and its automation condition."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pyarrow import parquet

from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.partitions import RANGE_END_TAG, RANGE_START_TAG
from openai_costs_dagster.warehouse.database import Database

from ...conftest import Configure
from ...warehouse.windows import row, store
from ..launching import materializations

START = dt.date(2026, 1, 5)
TODAY = dt.date(2026, 3, 11)
JANUARY, FEBRUARY, MARCH = "2026-01-01", "2026-02-01", "2026-03-01"


def organization(name: str, start: dt.date = START) -> Organization:
    return Organization(name=name, admin_key=SecretReference(env=f"NO_KEY_OF_{name}"), start_date=start)


@pytest.fixture
def configuration(configure: Configure, database: Database) -> Configuration:
    """Two organizations with missing days. The history of the second organization starts in February."""
    with database.connect() as connection:
        store(connection, {day: [row("1.5"), row(None, "whisper")] for day in DayRange(START, dt.date(2026, 1, 7))})
        store(connection, {dt.date(2026, 2, 3): [row("2")]}, organization="beta")
        store(connection, {TODAY: [row("0.0257920000000000000000000000000001")]}, provisional=[TODAY])
    return configure(organization("acme"), organization("beta", dt.date(2026, 2, 2)), database=database)


def run(configuration: Configuration, instance: dg.DagsterInstance, first: str, last: str) -> dg.ExecuteInProcessResult:
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        asset_selection=[asset_keys.focus_export_key(OrganizationName("acme"))],
        tags={RANGE_START_TAG: first, RANGE_END_TAG: last},
        raise_on_error=False,
    )


def test_range_of_months_is_one_run_without_required_days(
    configuration: Configuration, instance: dg.DagsterInstance
) -> None:
    assert run(configuration, instance, JANUARY, MARCH).success
    metadata = materializations(instance, asset_keys.focus_export_key(OrganizationName("acme")))
    assert set(metadata) == {JANUARY, FEBRUARY, MARCH}
    assert [metadata[month]["dagster/partition_row_count"] for month in (JANUARY, FEBRUARY, MARCH)] == [3, 1, 1]
    assert [metadata[month]["billed_exact"] for month in (JANUARY, FEBRUARY, MARCH)] == [
        "4.5 USD",
        "2 USD",
        "0.0257920000000000000000000000000001 USD",
    ]
    assert metadata[JANUARY]["rows_left_out"] == 3
    assert metadata[MARCH]["billed_usd"] == 0.03
    assert metadata[MARCH]["provisional"] is True
    folder = configuration.data_directory / "exports"
    assert sorted(path.name for path in folder.iterdir()) == [
        f"openai-focus-2026-{month}.{ending}" for month in ("01", "02", "03") for ending in ("csv", "parquet")
    ]
    table = parquet.read_table(Path(metadata[MARCH]["parquet"]))
    assert table["BilledCost"].to_pylist() == [Decimal("0.0257920000000000000000000000000001")]


def test_single_month_is_one_run(configuration: Configuration, instance: dg.DagsterInstance) -> None:
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    assert job.execute_in_process(
        instance=instance,
        asset_selection=[asset_keys.focus_export_key(OrganizationName("acme"))],
        partition_key=FEBRUARY,
    ).success
    assert set(materializations(instance, asset_keys.focus_export_key(OrganizationName("acme")))) == {FEBRUARY}


def test_month_without_stored_days_fails_alone(
    configure: Configure, database: Database, instance: dg.DagsterInstance
) -> None:
    with database.connect() as connection:
        store(connection, {START: [row("1.5")]})
    configuration = configure(organization("acme"), database=database)
    result = run(configuration, instance, JANUARY, FEBRUARY)
    assert not result.success
    assert set(materializations(instance, asset_keys.focus_export_key(OrganizationName("acme")))) == {JANUARY}
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert "no day of 2026-02 is stored for acme: run openai-costs backfill" in str(failure.event_specific_data)
    assert {path.name for path in (configuration.data_directory / "exports").iterdir()} == {
        "openai-focus-2026-01.csv",
        "openai-focus-2026-01.parquet",
    }


def test_months_span_the_oldest_organization_to_the_current_month(configure: Configure) -> None:
    definitions = build_definitions(
        configure(
            organization("acme", dt.date(2026, 1, 31)), organization("beta"), database="postgresql://127.0.0.1:1/x"
        )
    )
    asset = definitions.resolve_assets_def(asset_keys.focus_export_key(OrganizationName("acme")))
    assert asset.partitions_def
    now = dt.datetime(2026, 3, 1, 0, 0, 1, tzinfo=dt.UTC)
    assert asset.partitions_def.get_partition_keys(now) == [JANUARY, FEBRUARY, MARCH]
    spec = asset.get_asset_spec(asset_keys.focus_export_key(OrganizationName("acme")))
    assert spec.group_name == asset_keys.SHARED_GROUP
    assert {dep.asset_key for dep in spec.deps} == {
        asset_keys.costs_key(OrganizationName("acme")),
        asset_keys.costs_key(OrganizationName("beta")),
    }
    assert {"dagster/kind/postgres", "dagster/kind/parquet"} <= set(spec.tags)


# Automation condition


def at(day: dt.date, clock: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{day}T{clock}+00:00")


class AutomationTicks:
    """Evaluates the automation conditions of one organization repeatedly, and records materializations in between."""

    def __init__(self, configure: Configure, instance: dg.DagsterInstance) -> None:
        self.definitions = build_definitions(configure(organization("acme"), database="postgresql://127.0.0.1:1/x"))
        self._instance = instance
        self._cursor: Any = None

    def evaluate(self, day: dt.date, clock: str) -> set[str | None]:
        """Evaluate the conditions at a UTC time and return the requested months."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=dg.BetaWarning)
            result = dg.evaluate_automation_conditions(
                self.definitions, self._instance, evaluation_time=at(day, clock), cursor=self._cursor
            )
        self._cursor = result.cursor
        return set(result.get_requested_partitions(asset_keys.focus_export_key(OrganizationName("acme"))))

    def record_costs(self, days: Iterable[dt.date]) -> None:
        for day in days:
            self._record(asset_keys.costs_key(OrganizationName("acme")), day.isoformat())

    def record_exports(self, *months: str) -> None:
        for month in months:
            self._record(asset_keys.focus_export_key(OrganizationName("acme")), month)

    def _record(self, key: dg.AssetKey, partition: str) -> None:
        self._instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))


@pytest.fixture
def ticks(configure: Configure, instance: dg.DagsterInstance) -> AutomationTicks:
    return AutomationTicks(configure, instance)


@pytest.fixture
def exported(ticks: AutomationTicks) -> AutomationTicks:
    """Ticks after the costs of every day and the exports of every month were materialized."""
    ticks.record_costs(DayRange(START, TODAY + ONE_DAY))
    ticks.record_exports(JANUARY, FEBRUARY, MARCH)
    assert ticks.evaluate(TODAY, "00:10:00") == set()
    return ticks


def test_month_is_requested_once_when_its_first_days_are_stored(ticks: AutomationTicks) -> None:
    assert ticks.evaluate(TODAY, "10:10:00") == set()
    ticks.record_costs(DayRange(START, dt.date(2026, 2, 2)))
    assert ticks.evaluate(TODAY, "10:10:30") == {JANUARY, FEBRUARY}
    assert ticks.evaluate(TODAY, "10:11:00") == set()


def test_stored_history_is_requested_at_first(ticks: AutomationTicks) -> None:
    ticks.record_costs(DayRange(START, TODAY))
    assert ticks.evaluate(TODAY, "10:10:00") == {JANUARY, FEBRUARY, MARCH}
    assert ticks.evaluate(TODAY, "10:10:30") == set()


def test_failed_month_is_requested_again_at_the_daily_tick(ticks: AutomationTicks) -> None:
    ticks.record_costs(DayRange(START, TODAY))
    ticks.evaluate(TODAY, "00:10:00")
    ticks.record_exports(JANUARY, MARCH)
    assert ticks.evaluate(TODAY, "01:20:00") == set()
    assert ticks.evaluate(TODAY, "01:30:10") == {FEBRUARY}
    assert ticks.evaluate(TODAY, "01:30:40") == set()


def test_current_month_is_exported_again_once_a_day(exported: AutomationTicks) -> None:
    exported.record_costs([TODAY])
    assert exported.evaluate(TODAY, "01:00:10") == set()  # The daily tick is at 01:30.
    assert exported.evaluate(TODAY, "01:30:10") == set()  # The refresh of the daily tick has not finished.
    exported.record_costs(DayRange(TODAY - 3 * ONE_DAY, TODAY))
    assert exported.evaluate(TODAY, "01:32:10") == {MARCH}
    exported.record_exports(MARCH)
    exported.record_costs([TODAY])
    assert exported.evaluate(TODAY, "02:00:10") == set()  # The hourly refresh of today causes no second export.
    assert exported.evaluate(TODAY + ONE_DAY, "01:30:10") == set()
    exported.record_costs([TODAY, TODAY + ONE_DAY])
    assert exported.evaluate(TODAY + ONE_DAY, "01:33:00") == {MARCH}


def test_earlier_month_is_exported_again_after_its_days_were_read(exported: AutomationTicks) -> None:
    exported.evaluate(TODAY, "01:30:10")
    exported.record_costs([dt.date(2026, 2, 27), TODAY])
    assert exported.evaluate(TODAY, "01:32:10") == {FEBRUARY, MARCH}
    exported.record_exports(FEBRUARY, MARCH)
    exported.record_costs([dt.date(2026, 1, 9)])
    assert exported.evaluate(TODAY, "12:00:00") == {JANUARY}
    assert exported.evaluate(TODAY, "12:00:30") == set()
