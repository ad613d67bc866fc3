"""The report tells what is stored, to the last digit, of the organizations that are configured, and makes itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
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
from openai_costs_dagster.warehouse import report_queries
from openai_costs_dagster.warehouse.database import Connection

from ..bench import Bench, days, small_world
from ..conftest import Clock, Configure
from ..orchestration.launching import materializations
from ..simulator.everything import everything
from ..sync_fixtures import MakeBench


@pytest.fixture
def work(bench: MakeBench, clock: Clock) -> Bench:
    return bench(everything(), start_date=clock.today - 69 * ONE_DAY)


def read(work: Bench, configure: Configure, count: int = 70) -> Configuration:
    """Reads the last days and shares them out, as one run of the family does."""
    configuration = configure(work.organization, database=work.database)
    wanted = DayRange(work.clock.today - (count - 1) * ONE_DAY, work.clock.today)
    work.read(wanted)
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(
            instance=instance,
            asset_selection=[
                key
                for key in partitioned_asset_keys(work.organization)
                if key != asset_keys.costs_key(OrganizationName("acme"))
            ],
            tags=range_tags(wanted),
        ).success
    return configuration


def report(work: Bench, configuration: Configuration) -> SpendReport:
    return load_spend_report(configuration, work.database, work.clock.now)


def total(found: SpendReport) -> Decimal:
    return Decimal(sum(sum(series.amounts) for series in found.cube.series)) / 10**9


def test_all_spend_of_all_dimensions_is_on_the_page(work: Bench, configure: Configure) -> None:
    found = report(work, read(work, configure))
    ((stored,),) = work.ask("select sum(amount) from openai_costs.daily_costs where currency = 'usd'")
    assert abs(total(found) - stored) < Decimal("1e-5")
    users = {name for _, name in found.cube.names["user"]}
    assert users == {user for (user,) in work.ask("select distinct user_id from openai_costs.allocated_costs") if user}
    assert {one.id for one in found.names if one.kind == "user"} >= users
    assert found.provisional == {"acme": [work.clock.today - number * ONE_DAY for number in (2, 1, 0)]}
    assert (found.first_day, found.last_day) == (work.clock.today - 69 * ONE_DAY, work.clock.today)


def test_report_does_not_mix_figures_of_before_and_after_a_change(
    work: Bench, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = read(work, configure, 40)
    before = report(work, configuration)
    days_of = report_queries.first_stored_days

    def change_then_days_of(connection: Connection, organizations: Sequence[str]) -> dict[str, dt.date]:
        with work.database.connect() as other:
            for table in ("cost_rows", "allocations"):
                other.execute(f"update openai_costs.{table} set amount = 2 * amount")  # noqa: S608 - our own names
        return days_of(connection, organizations)

    with monkeypatch.context() as patched:
        patched.setattr(report_queries, "first_stored_days", change_then_days_of)
        assert report(work, configuration) == before
    assert total(report(work, configuration)) == 2 * total(before)


def test_a_tool_without_a_model_goes_by_its_own_name(work: Bench, configure: Configure) -> None:
    found = report(work, read(work, configure, 3))
    models = {name for _, name in found.cube.names["model"]}
    expected = work.ask("select distinct coalesce(model, category) from openai_costs.daily_costs where amount <> 0")
    assert models >= {name for (name,) in expected}


def test_movers_are_settled_days_beside_as_many_before_and_split_without_a_rest(
    work: Bench, configure: Configure
) -> None:
    found = report(work, read(work, configure))
    settled = work.clock.today - 3 * ONE_DAY
    week, four_weeks, month = found.comparisons
    assert (week.first, week.last) == (settled - 6 * ONE_DAY, settled)
    assert (week.earlier_first, week.earlier_last) == (settled - 13 * ONE_DAY, settled - 7 * ONE_DAY)
    assert (four_weeks.last - four_weeks.first).days == 27
    assert (month.first, month.earlier_first, month.earlier_last) == (
        dt.date(2026, 3, 1),
        dt.date(2026, 2, 1),
        dt.date(2026, 2, settled.day),
    )
    spent = work.ask(
        "select sum(amount) from openai_costs.daily_costs where usage_date between %s and %s", week.first, week.last
    )
    assert [(money.total(one.amount for one in week.movers),)] == spent
    for mover in week.movers:
        assert mover.change == money.subtract(mover.amount, mover.earlier_amount)
        assert money.total([mover.volume, mover.price, mover.mix, mover.unmeasured]) == mover.change


def test_what_lies_before_the_first_stored_day_is_compared_with_nothing(work: Bench, configure: Configure) -> None:
    found = report(work, read(work, configure, 12))
    assert found.comparisons == []


def test_a_restated_day_is_told(work: Bench, configure: Configure) -> None:
    configuration = read(work, configure, 20)
    day = work.clock.today - 10 * ONE_DAY
    work.world.restate(day, lambda facts: (replace(facts[0], amount=(facts[0].amount or Decimal(0)) + 7), *facts[1:]))
    work.read([day])
    ((organization, restated, _, currency, parts, change),) = report(work, configuration).restatements
    assert (organization, restated, currency, parts, change) == ("acme", day, "usd", 1, Decimal(7))


def test_budgets_are_on_it_after_a_run(bench: MakeBench, configure: Configure, clock: Clock) -> None:
    budget = Budget(amount_usd=Decimal(10))
    work = bench(small_world(), start_date=clock.today - 40 * ONE_DAY, budgets=(budget,))
    configuration = configure(work.organization, database=work.database)
    job = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    work.read(days(clock.today - 40 * ONE_DAY, 41))
    with dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(
            instance=instance,
            asset_selection=[asset_keys.costs_key(OrganizationName("acme"))],
            tags=range_tags(DayRange(clock.today, clock.today)),
        )
    found = report(work, configuration)
    assert {(one.organization, one.budget, one.limit) for one in found.budgets} == {
        ("acme", budget.title, Decimal("10.00"))
    }


def test_an_organization_that_was_never_read_has_a_page_that_says_so(work: Bench, configure: Configure) -> None:
    found = report(work, configure(work.organization, database=work.database))
    (standing,) = found.organizations
    assert standing.last_day is None
    assert standing.needs[0].startswith("never read")
    assert (found.cube.series, found.comparisons, found.first_day) == ([], [], found.last_day)


def test_organizations_that_are_configured_no_more_are_not_on_it(work: Bench, configure: Configure) -> None:
    read(work, configure, 3)
    other = work.organization.model_copy(update={"name": "beta"})
    found = report(work, configure(other, database=work.database))
    assert [one.organization for one in found.organizations] == ["beta"]
    assert found.cube.series == []
    assert found.names == []


def test_a_page_takes_the_place_of_an_older_one_or_leaves_it(work: Bench, configure: Configure, tmp_path: Path) -> None:
    configuration, page = configure(work.organization, database=work.database), tmp_path / "pages" / "spend.html"
    page.parent.mkdir()
    first = write_report(page, configuration, work.database, work.clock.now)
    assert page.stat().st_size == first.size_bytes
    second = write_report(page, configuration, work.database, work.clock.now + ONE_DAY)
    assert page.read_text().count(second.report.generated_at.isoformat()) == 1
    assert [file.name for file in page.parent.iterdir()] == ["spend.html"]


def test_a_page_is_its_owners_alone_until_its_owner_opens_it(work: Bench, configure: Configure, tmp_path: Path) -> None:
    configuration, page = configure(work.organization, database=work.database), tmp_path / "spend.html"
    write_report(page, configuration, work.database, work.clock.now)
    assert page.stat().st_mode & 0o777 == 0o600
    page.chmod(0o644)
    write_report(page, configuration, work.database, work.clock.now)
    assert page.stat().st_mode & 0o777 == 0o644


def test_days_that_are_not_stored_are_told_but_today(work: Bench, configure: Configure) -> None:
    configuration = read(work, configure, 3)
    found = report(work, configuration)
    assert found.missing == {}
    work.read([work.clock.today - 9 * ONE_DAY])
    assert report(work, configuration).missing == {"acme": [work.clock.today - n * ONE_DAY for n in range(8, 2, -1)]}


def test_addresses_stand_on_it_only_while_they_are_kept(work: Bench, configure: Configure) -> None:
    configuration = read(work, configure, 3)
    user = next(name for _, name in report(work, configuration).cube.names["user"] if name != OTHERS)
    with work.database.connect() as connection:
        connection.execute("delete from openai_costs.directory_names where id = %s", [user])
        connection.execute(
            "insert into openai_costs.directory_names (organization, kind, id, email, first_seen_at, last_seen_at)"
            " values ('acme', 'user', %s, 'vera@example.com', now(), now())",
            [user],
        )
    assert user in {one.id for one in report(work, configuration).names}
    silent = configure(work.organization.model_copy(update={"store_emails": False}), database=work.database)
    assert user not in {one.id for one in report(work, silent).names}


@pytest.mark.parametrize(
    ("settled", "name", "days", "earlier"),
    [
        ("2026-11-22", "22 days of November with those of October", ("11-01", "11-22"), ("10-01", "10-22")),
        ("2026-10-31", "30 days of October with those of September", ("10-01", "10-30"), ("09-01", "09-30")),
        ("2026-03-31", "28 days of March with those of February", ("03-01", "03-28"), ("02-01", "02-28")),
    ],
)
def test_months_are_compared_by_as_many_days_of_each(
    settled: str, name: str, days: tuple[str, str], earlier: tuple[str, str]
) -> None:
    found = calendar_month_ranges(dt.date.fromisoformat(settled))
    ranges = [DayRange(*(dt.date.fromisoformat(f"2026-{end}") for end in ends)) for ends in (days, earlier)]
    assert found == (name, *ranges)


def test_what_the_demo_made_is_marked_as_simulated(work: Bench, configure: Configure) -> None:
    configuration = configure(work.organization, database=work.database)
    assert not report(work, configuration).is_simulated
    configuration.data_directory.mkdir()
    (configuration.data_directory / SIMULATED_MARKER).touch()
    assert report(work, configuration).is_simulated


def test_the_asset_writes_the_page_and_tells_its_figures(
    work: Bench, configure: Configure, instance: dg.DagsterInstance
) -> None:
    configuration = read(work, configure, 40)
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
class Ticks:
    """The sensor's evaluations, minutes after the first one."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    began: dt.datetime
    day: str
    cursor: Any = None

    def asked(self, minutes: int) -> int:
        """How many reports are asked for at a tick."""
        time = self.began + dt.timedelta(minutes=minutes)
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, evaluation_time=time, cursor=self.cursor
        )
        self.cursor = result.cursor
        return result.get_num_requested(asset_keys.spend_report_key(OrganizationName("acme")))

    def made(self) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_keys.spend_report_key(OrganizationName("acme")))
        )

    def costs_were_read(self) -> None:
        asset = asset_keys.allocated_costs_key(OrganizationName("acme"))
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=self.day))

    def reading_begins(self) -> None:
        """And never ends."""
        asset = asset_keys.allocated_costs_key(OrganizationName("acme"))
        everything = self.definitions.get_repository_def().get_implicit_global_asset_job_def()
        self.instance.create_run_for_job(
            everything.get_subset(asset_selection={asset}),
            asset_selection={asset},
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/partition": self.day},
        )


@pytest.fixture
def ticks(bench: MakeBench, configure: Configure, instance: dg.DagsterInstance) -> Ticks:
    work = bench(small_world())
    definitions = build_definitions(configure(work.organization, database=work.database))
    return Ticks(definitions, instance, work.clock.now, (work.clock.today - ONE_DAY).isoformat())


def test_the_page_is_made_at_first_and_again_once_costs_were_read(ticks: Ticks) -> None:
    assert ticks.asked(0) == 1
    ticks.made()
    assert ticks.asked(1) == 0
    ticks.costs_were_read()
    assert ticks.asked(2) == 1


def test_what_is_read_while_the_page_is_made_is_told_by_another(ticks: Ticks) -> None:
    assert ticks.asked(0) == 1
    ticks.costs_were_read()
    ticks.made()
    assert ticks.asked(1) == 1
    ticks.made()
    assert ticks.asked(2) == 0
    assert ticks.asked(3) == 0


def test_the_page_waits_for_readers_but_not_beyond_the_hour(ticks: Ticks) -> None:
    assert ticks.asked(0) == 1  # at half past
    ticks.made()
    assert ticks.asked(1) == 0
    ticks.costs_were_read()
    ticks.reading_begins()
    assert ticks.asked(2) == 0
    assert ticks.asked(29) == 0
    assert ticks.asked(31) == 1
    ticks.made()
    assert ticks.asked(32) == 0
