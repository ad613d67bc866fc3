"""Tests of the days that the automation conditions request at each tick, evaluated at injected times."""

import datetime as dt
from collections.abc import Iterable

import dagster as dg
import pytest

from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.configuration import Organization, Refresh
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.partitions import range_tags

from ..conftest import Configure
from .launching import KEY, requested, run

TODAY = dt.date(2026, 3, 11)  # This day is a Wednesday.
SUNDAY = dt.date(2026, 3, 15)
START = dt.date(2026, 1, 5)


def at(day: dt.date, clock: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{day}T{clock}+00:00")


def last(count: int, today: dt.date = TODAY) -> list[DayRange]:
    """Return the newest days, including today, as one range."""
    return [DayRange(today - (count - 1) * ONE_DAY, today)]


def organization(name: str, start: dt.date = START) -> Organization:
    return Organization(name=name, admin_key=SecretReference(env=f"NO_KEY_OF_{name}"), start_date=start)


@pytest.fixture
def definitions(configure: Configure) -> dg.Definitions:
    return build_definitions(configure(organization("acme"), database="postgresql://127.0.0.1:1/x"))


def materialize(instance: dg.DagsterInstance, days: Iterable[dt.date], key: dg.AssetKey = KEY) -> None:
    for day in days:
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day.isoformat()))


@pytest.fixture
def read(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """An instance with materialized partitions for every day up to the Sunday before."""
    materialize(instance, DayRange(START, SUNDAY))
    return instance


def test_new_organization_requests_its_history_as_one_range(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    found, cursor = requested(definitions, instance, at(TODAY, "10:10:00"))
    assert found == [DayRange(START, TODAY)]
    found, _ = requested(definitions, instance, at(TODAY, "10:10:30"), cursor=cursor)
    assert found == []


def test_added_organization_requests_its_history_only(
    configure: Configure, read: dg.DagsterInstance, definitions: dg.Definitions
) -> None:
    _, cursor = requested(definitions, read, at(TODAY, "10:10:00"))
    both = build_definitions(
        configure(organization("acme"), organization("beta"), database="postgresql://127.0.0.1:1/x")
    )
    beta = asset_keys.costs_key(OrganizationName("beta"))
    assert requested(both, read, at(TODAY, "10:10:30"), cursor=cursor, key=beta)[0] == [DayRange(START, TODAY)]
    assert requested(both, read, at(TODAY, "10:10:30"), cursor=cursor)[0] == []


def test_stored_organization_requests_nothing_at_first(definitions: dg.Definitions, read: dg.DagsterInstance) -> None:
    assert requested(definitions, read, at(TODAY, "10:10:00"))[0] == []


def test_daily_tick_requests_the_trailing_days_as_one_range(
    definitions: dg.Definitions, read: dg.DagsterInstance
) -> None:
    found, cursor = requested(definitions, read, at(TODAY, "01:10:00"), at(TODAY, "01:30:10"))
    assert found == last(4)
    assert requested(definitions, read, at(TODAY, "01:30:40"), cursor=cursor)[0] == []


def test_weekly_tick_requests_more_trailing_days(definitions: dg.Definitions, read: dg.DagsterInstance) -> None:
    assert requested(definitions, read, at(SUNDAY, "03:30:00"), at(SUNDAY, "04:00:10"))[0] == last(35, SUNDAY)
    assert requested(definitions, read, at(TODAY, "03:30:00"), at(TODAY, "04:00:10"))[0] == last(2)


def test_today_and_yesterday_are_requested_within_the_day(
    definitions: dg.Definitions, read: dg.DagsterInstance
) -> None:
    found, cursor = requested(definitions, read, at(TODAY, "10:10:00"), at(TODAY, "11:00:10"))
    assert found == last(2)
    assert requested(definitions, read, at(TODAY, "11:30:10"), cursor=cursor)[0] == []


def test_missed_ticks_are_requested_in_one_range(definitions: dg.Definitions, read: dg.DagsterInstance) -> None:
    found, _ = requested(definitions, read, at(TODAY, "10:10:00"), at(SUNDAY, "23:10:00"))
    assert found == last(35, SUNDAY)


def test_days_are_utc_days(definitions: dg.Definitions, read: dg.DagsterInstance) -> None:
    midnight = at(TODAY, "00:00:10").astimezone(dt.timezone(dt.timedelta(hours=-8)))
    before = at(TODAY - ONE_DAY, "23:59:50")
    assert requested(definitions, read, before, midnight)[0] == last(2)


def test_refresh_schedule_is_configurable(configure: Configure, read: dg.DagsterInstance) -> None:
    refresh = Refresh(cron="15 6 * * *", trailing_days=10, deep_cron="0 7 11 * *", deep_trailing_days=60)
    refresh = refresh.model_copy(update={"intraday_minutes": 240})
    own = build_definitions(configure(organization("acme"), database="postgresql://127.0.0.1:1/x", refresh=refresh))
    assert requested(own, read, at(TODAY, "05:00:00"), at(TODAY, "06:15:10"))[0] == last(10)
    assert requested(own, read, at(TODAY, "06:30:00"), at(TODAY, "07:00:10"))[0] == last(60)
    assert requested(own, read, at(TODAY, "10:59:00"), at(TODAY, "11:00:10"))[0] == []
    assert requested(own, read, at(TODAY, "11:59:00"), at(TODAY, "12:00:10"))[0] == last(2)


def test_only_the_daily_tick_requests_days_if_intraday_refresh_is_off(
    configure: Configure, read: dg.DagsterInstance
) -> None:
    refresh = Refresh(intraday_minutes=None)
    own = build_definitions(configure(organization("acme"), database="postgresql://127.0.0.1:1/x", refresh=refresh))
    assert requested(own, read, at(TODAY, "10:10:00"), at(TODAY, "11:00:10"))[0] == []
    assert requested(own, read, at(TODAY, "01:10:00"), at(TODAY, "01:30:10"))[0] == last(4)


def test_missing_days_are_requested_at_each_tick(definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
    gap = DayRange(dt.date(2026, 2, 10), dt.date(2026, 2, 12))
    materialize(instance, (day for day in DayRange(START, TODAY) if day not in gap))
    found, cursor = requested(definitions, instance, at(TODAY, "10:10:00"))
    assert found == [gap]  # The first evaluation requests missing days only.
    for hour in (11, 12):
        found, cursor = requested(definitions, instance, at(TODAY, f"{hour}:00:10"), cursor=cursor)
        assert found == [gap, *last(2)]
        found, cursor = requested(definitions, instance, at(TODAY, f"{hour}:30:10"), cursor=cursor)
        assert found == []


def test_failed_trailing_day_is_requested_again(
    definitions: dg.Definitions, read: dg.DagsterInstance, configure: Configure
) -> None:
    failed = last(4)[0]
    configuration = configure(organization("acme"), database="postgresql://127.0.0.1:1/x")
    assert not run(configuration, read, list(failed)).success
    assert requested(definitions, read, at(TODAY, "10:10:00"), at(TODAY, "11:00:10"))[0] == [failed]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_days_of_an_unfinished_run_are_not_requested(
    definitions: dg.Definitions, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    job = definitions.get_repository_def().get_implicit_global_asset_job_def().get_subset(asset_selection={KEY})
    under_way = DayRange(TODAY - 9 * ONE_DAY, TODAY)
    instance.create_run_for_job(job, tags=range_tags(under_way), status=status, asset_selection=frozenset({KEY}))
    found, cursor = requested(definitions, instance, at(TODAY, "01:10:00"))
    assert found == [DayRange(START, TODAY - 10 * ONE_DAY)]
    found, _ = requested(definitions, instance, at(TODAY, "01:30:10"), cursor=cursor)
    assert found == []


def test_allocation_is_requested_once_after_costs_were_read_alone(
    definitions: dg.Definitions, read: dg.DagsterInstance
) -> None:
    shared = asset_keys.allocated_costs_key(OrganizationName("acme"))
    for key in (asset_keys.usage_key(OrganizationName("acme")), shared):
        materialize(read, DayRange(START, SUNDAY), key)
    _, cursor = requested(definitions, read, at(TODAY, "10:10:00"), key=shared)
    for day, clock in ((SUNDAY - 4 * ONE_DAY, "10:10"), (SUNDAY - 5 * ONE_DAY, "10:12")):
        materialize(read, [day])
        found, cursor = requested(definitions, read, at(TODAY, f"{clock}:30"), cursor=cursor, key=shared)
        assert found == [DayRange(day, day)]
        materialize(read, [day], shared)
        found, cursor = requested(definitions, read, at(TODAY, f"{clock}:59"), cursor=cursor, key=shared)
        assert found == []
