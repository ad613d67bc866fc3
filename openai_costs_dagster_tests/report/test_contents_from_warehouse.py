"""Tests of the data of the spend report, of the asset that writes it, and of the automation condition of the asset."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import SIMULATED_MARKER, Budget, Configuration
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.build import build_definitions, partitioned_asset_keys
from openai_costs_dagster.orchestration.partitions import range_tags
from openai_costs_dagster.report import locations
from openai_costs_dagster.report.contents import SpendReport
from openai_costs_dagster.report.contents_from_warehouse import calendar_month_ranges, load_spend_report
from openai_costs_dagster.report.cube import OTHERS
from openai_costs_dagster.report.page import write_report
from openai_costs_dagster.spend import money
from openai_costs_dagster.warehouse import coverage, report_queries

from ..conftest import Clock, Configure
from ..orchestration.launching import materializations
from ..simulator.full_organization import full_organization
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days, small_organization


@pytest.fixture
def setup(make_sync_setup: MakeSyncSetup, clock: Clock) -> SyncSetup:
    return make_sync_setup(full_organization(), start_date=clock.today - 69 * ONE_DAY)


def refresh(setup: SyncSetup, configure: Configure, count: int = 70) -> Configuration:
    """Synchronize and allocate the last `count` days, as a run of all assets of the organization does."""
    configuration = configure(setup.organization, database=setup.database)
    requested_days = DayRange(setup.clock.today - (count - 1) * ONE_DAY, setup.clock.today)
    setup.ingest(requested_days)
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(
            instance=instance,
            asset_selection=[
                key
                for key in partitioned_asset_keys(setup.organization)
                if key != asset_keys.costs_key(OrganizationName("acme"))
            ],
            tags=range_tags(requested_days),
        ).success
    return configuration


def report(setup: SyncSetup, configuration: Configuration) -> SpendReport:
    return load_spend_report(configuration, setup.database, setup.clock.now)


def total(found: SpendReport) -> Decimal:
    """Return the sum of all amounts of the cube in US dollars."""
    return Decimal(sum(sum(series.amounts) for series in found.cube.series)) / 10**9


def test_report_contains_all_spend_and_all_users(setup: SyncSetup, configure: Configure) -> None:
    found = report(setup, refresh(setup, configure))
    ((stored,),) = setup.query("select sum(amount) from openai_costs.daily_costs where currency = 'usd'")
    assert abs(total(found) - stored) < Decimal("1e-5")
    users = {name for _, name in found.cube.names["user"]}
    assert users == {
        user for (user,) in setup.query("select distinct user_id from openai_costs.allocated_costs") if user
    }
    assert {name.id for name in found.names if name.kind == "user"} >= users
    assert found.provisional == {"acme": [setup.clock.today - number * ONE_DAY for number in (2, 1, 0)]}
    assert (found.first_day, found.last_day) == (setup.clock.today - 69 * ONE_DAY, setup.clock.today)


@pytest.mark.parametrize(
    "query",
    [
        coverage.sync_status,  # This is the second query of the status overview.
        report_queries.first_stored_days,
        report_queries.cells,
        report_queries.spent_parts,
        report_queries.other_currencies,
    ],
    ids=lambda query: str(query.__name__),
)
def test_report_ignores_writes_between_its_queries(
    setup: SyncSetup, configure: Configure, monkeypatch: pytest.MonkeyPatch, query: Callable[..., Any]
) -> None:
    configuration = refresh(setup, configure, 40)
    before = report(setup, configuration)

    def write_then_query(*arguments: Any) -> Any:
        # The report runs some queries several times. Only the first of these calls is preceded by a write.
        patched.setattr(module, query.__name__, query)
        with setup.database.connect() as other:
            for table in ("cost_rows", "allocations"):
                other.execute(f"update openai_costs.{table} set amount = 2 * amount")  # noqa: S608 - our own names
            other.execute("update openai_costs.organizations set display_name = 'Renamed'")
        return query(*arguments)

    with monkeypatch.context() as patched:
        module = sys.modules[query.__module__]
        patched.setattr(module, query.__name__, write_then_query)
        assert report(setup, configuration) == before
    assert total(report(setup, configuration)) == 2 * total(before)


def test_tool_without_model_is_listed_under_its_name(setup: SyncSetup, configure: Configure) -> None:
    found = report(setup, refresh(setup, configure, 3))
    models = {name for _, name in found.cube.names["model"]}
    expected = setup.query("select distinct coalesce(model, category) from openai_costs.daily_costs where amount <> 0")
    assert models >= {name for (name,) in expected}


def test_movers_compare_settled_days_and_effects_add_up_to_the_change(setup: SyncSetup, configure: Configure) -> None:
    found = report(setup, refresh(setup, configure))
    settled = setup.clock.today - 3 * ONE_DAY
    week, four_weeks, month = found.comparisons
    assert (week.first, week.last) == (settled - 6 * ONE_DAY, settled)
    assert (week.earlier_first, week.earlier_last) == (settled - 13 * ONE_DAY, settled - 7 * ONE_DAY)
    assert (four_weeks.last - four_weeks.first).days == 27
    assert (month.first, month.earlier_first, month.earlier_last) == (
        dt.date(2026, 3, 1),
        dt.date(2026, 2, 1),
        dt.date(2026, 2, settled.day),
    )
    spent = setup.query(
        "select sum(amount) from openai_costs.daily_costs where usage_date between %s and %s", week.first, week.last
    )
    assert [(money.total(mover.amount for mover in week.movers),)] == spent
    for mover in week.movers:
        assert mover.change == money.subtract(mover.amount, mover.earlier_amount)
        assert money.total([mover.volume, mover.price, mover.mix, mover.unmeasured]) == mover.change


def test_history_of_twelve_days_has_no_comparisons(setup: SyncSetup, configure: Configure) -> None:
    found = report(setup, refresh(setup, configure, 12))
    assert found.comparisons == []


def test_restated_day_is_listed(setup: SyncSetup, configure: Configure) -> None:
    configuration = refresh(setup, configure, 20)
    day = setup.clock.today - 10 * ONE_DAY
    setup.simulated.restate(
        day, lambda facts: (replace(facts[0], amount=(facts[0].amount or Decimal(0)) + 7), *facts[1:])
    )
    setup.ingest([day])
    ((organization, restated, _, currency, parts, change),) = report(setup, configuration).restatements
    assert (organization, restated, currency, parts, change) == ("acme", day, "usd", 1, Decimal(7))


def test_report_contains_budgets_after_a_costs_run(
    make_sync_setup: MakeSyncSetup, configure: Configure, clock: Clock
) -> None:
    budget = Budget(amount_usd=Decimal(10))
    setup = make_sync_setup(small_organization(), start_date=clock.today - 40 * ONE_DAY, budgets=(budget,))
    configuration = configure(setup.organization, database=setup.database)
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    setup.ingest(days(clock.today - 40 * ONE_DAY, 41))
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(
            instance=instance,
            asset_selection=[asset_keys.costs_key(OrganizationName("acme"))],
            tags=range_tags(DayRange(clock.today, clock.today)),
        )
    found = report(setup, configuration)
    assert {(status.organization, status.budget, status.limit) for status in found.budgets} == {
        ("acme", budget.title, Decimal("10.00"))
    }


def test_report_of_organization_without_data_requires_a_sync(setup: SyncSetup, configure: Configure) -> None:
    found = report(setup, configure(setup.organization, database=setup.database))
    (status,) = found.organizations
    assert status.last_day is None
    assert status.required_actions[0].startswith("never synchronized")
    assert (found.cube.series, found.comparisons, found.first_day) == ([], [], found.last_day)


def test_removed_organization_is_not_in_the_report(setup: SyncSetup, configure: Configure) -> None:
    refresh(setup, configure, 3)
    other = setup.organization.model_copy(update={"name": "beta"})
    found = report(setup, configure(other, database=setup.database))
    assert [status.organization for status in found.organizations] == ["beta"]
    assert found.cube.series == []
    assert found.names == []


def test_new_page_replaces_the_old_page(setup: SyncSetup, configure: Configure, tmp_path: Path) -> None:
    configuration, page = configure(setup.organization, database=setup.database), tmp_path / "pages" / "spend.html"
    page.parent.mkdir()
    first = write_report(page, configuration, setup.database, setup.clock.now)
    assert page.stat().st_size == first.size_bytes
    second = write_report(page, configuration, setup.database, setup.clock.now + ONE_DAY)
    assert page.read_text().count(second.report.generated_at.isoformat()) == 1
    assert [file.name for file in page.parent.iterdir()] == ["spend.html"]


def test_page_is_private_and_keeps_later_permissions(setup: SyncSetup, configure: Configure, tmp_path: Path) -> None:
    configuration, page = configure(setup.organization, database=setup.database), tmp_path / "spend.html"
    write_report(page, configuration, setup.database, setup.clock.now)
    assert page.stat().st_mode & 0o777 == 0o600
    page.chmod(0o644)
    write_report(page, configuration, setup.database, setup.clock.now)
    assert page.stat().st_mode & 0o777 == 0o644


def test_missing_days_exclude_today(setup: SyncSetup, configure: Configure) -> None:
    configuration = refresh(setup, configure, 3)
    found = report(setup, configuration)
    assert found.missing == {}
    setup.ingest([setup.clock.today - 9 * ONE_DAY])
    assert report(setup, configuration).missing == {"acme": [setup.clock.today - n * ONE_DAY for n in range(8, 2, -1)]}


def test_report_shows_addresses_only_if_they_are_stored(setup: SyncSetup, configure: Configure) -> None:
    configuration = refresh(setup, configure, 3)
    user = next(name for _, name in report(setup, configuration).cube.names["user"] if name != OTHERS)
    with setup.database.connect() as connection:
        connection.execute("delete from openai_costs.directory_names where id = %s", [user])
        connection.execute(
            "insert into openai_costs.directory_names (organization, kind, id, email, first_seen_at, last_seen_at)"
            " values ('acme', 'user', %s, 'vera@example.com', now(), now())",
            [user],
        )
    assert user in {name.id for name in report(setup, configuration).names}
    without_addresses = configure(
        setup.organization.model_copy(update={"store_emails": False}), database=setup.database
    )
    assert user not in {name.id for name in report(setup, without_addresses).names}


@pytest.mark.parametrize(
    ("settled", "name", "days", "earlier"),
    [
        ("2026-11-22", "22 days of November with those of October", ("11-01", "11-22"), ("10-01", "10-22")),
        ("2026-10-31", "30 days of October with those of September", ("10-01", "10-30"), ("09-01", "09-30")),
        ("2026-03-31", "28 days of March with those of February", ("03-01", "03-28"), ("02-01", "02-28")),
    ],
)
def test_month_comparison_uses_equal_numbers_of_days(
    settled: str, name: str, days: tuple[str, str], earlier: tuple[str, str]
) -> None:
    found = calendar_month_ranges(dt.date.fromisoformat(settled))
    ranges = [DayRange(*(dt.date.fromisoformat(f"2026-{end}") for end in ends)) for ends in (days, earlier)]
    assert found == (name, *ranges)


def test_report_of_the_demo_is_marked_as_simulated(setup: SyncSetup, configure: Configure) -> None:
    configuration = configure(setup.organization, database=setup.database)
    assert not report(setup, configuration).is_simulated
    configuration.data_directory.mkdir()
    (configuration.data_directory / SIMULATED_MARKER).touch()
    assert report(setup, configuration).is_simulated


def test_asset_writes_page_and_metadata(setup: SyncSetup, configure: Configure, instance: dg.DagsterInstance) -> None:
    configuration = refresh(setup, configure, 40)
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    assert job.execute_in_process(
        instance=instance, asset_selection=[asset_keys.spend_report_key(OrganizationName("acme"))]
    ).success
    (metadata,) = materializations(instance, asset_keys.spend_report_key(OrganizationName("acme"))).values()
    page = Path(metadata["page"])
    assert page == locations.report_path(configuration)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert metadata["spend_by_day"].startswith("![spend by day](data:image/svg+xml;base64,")
    assert metadata["month_to_date_usd"] >= 0


@dataclass
class AutomationTicks:
    """A series of evaluations of the report's automation condition, each at a number of minutes after the first."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    started_at: dt.datetime
    day: str
    cursor: Any = None

    def evaluate(self, minutes: int) -> int:
        """Evaluate the automation condition and return the number of requested report runs."""
        time = self.started_at + dt.timedelta(minutes=minutes)
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=time, cursor=self.cursor
        )
        self.cursor = result.cursor
        return result.get_num_requested(asset_keys.spend_report_key(OrganizationName("acme")))

    def finish_report(self) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_keys.spend_report_key(OrganizationName("acme")))
        )

    def finish_refresh(self) -> None:
        asset = asset_keys.allocated_costs_key(OrganizationName("acme"))
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=self.day))

    def start_refresh(self) -> None:
        """Record a refresh that never finishes."""
        asset = asset_keys.allocated_costs_key(OrganizationName("acme"))
        everything = self.definitions.get_repository_def().get_implicit_global_asset_job_def()
        self.instance.create_run_for_job(
            everything.get_subset(asset_selection={asset}),
            asset_selection={asset},
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/partition": self.day},
        )


@pytest.fixture
def ticks(make_sync_setup: MakeSyncSetup, configure: Configure, instance: dg.DagsterInstance) -> AutomationTicks:
    setup = make_sync_setup(small_organization())
    definitions = build_definitions(configure(setup.organization, database=setup.database))
    return AutomationTicks(definitions, instance, setup.clock.now, (setup.clock.today - ONE_DAY).isoformat())


def test_report_is_requested_first_and_after_each_refresh(ticks: AutomationTicks) -> None:
    assert ticks.evaluate(0) == 1
    ticks.finish_report()
    assert ticks.evaluate(1) == 0
    ticks.finish_refresh()
    assert ticks.evaluate(2) == 1


def test_refresh_during_the_report_requests_another_report(ticks: AutomationTicks) -> None:
    assert ticks.evaluate(0) == 1
    ticks.finish_refresh()
    ticks.finish_report()
    assert ticks.evaluate(1) == 1
    ticks.finish_report()
    assert ticks.evaluate(2) == 0
    assert ticks.evaluate(3) == 0


def test_report_waits_for_running_refreshes_until_the_full_hour(ticks: AutomationTicks) -> None:
    assert ticks.evaluate(0) == 1  # This tick is at half past the hour.
    ticks.finish_report()
    assert ticks.evaluate(1) == 0
    ticks.finish_refresh()
    ticks.start_refresh()
    assert ticks.evaluate(2) == 0
    assert ticks.evaluate(29) == 0
    assert ticks.evaluate(31) == 1
    ticks.finish_report()
    assert ticks.evaluate(32) == 0
