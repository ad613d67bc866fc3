"""Tests of the data of `openai-costs status`: stored days, open anomalies and required actions."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from openai_costs_dagster.configuration import Anomalies
from openai_costs_dagster.days import ONE_DAY, DayRange, utc_now
from openai_costs_dagster.monitoring.anomalies import evaluate_days
from openai_costs_dagster.monitoring.status import Overview, overviews
from openai_costs_dagster.report.contents_from_warehouse import load_spend_report
from openai_costs_dagster.simulator.queries import Query
from openai_costs_dagster.sync.onboarding import start_dates
from openai_costs_dagster.warehouse import anomalies

from ..conftest import Clock, Configure
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days, small_organization

START = dt.date(2026, 1, 5)


@pytest.fixture
def setup(make_sync_setup: MakeSyncSetup, clock: Clock) -> SyncSetup:
    clock.now = utc_now()  # The SQL views use the clock of the PostgreSQL server.
    return make_sync_setup(small_organization(users_with_projects_served=True), start_date=clock.today - 59 * ONE_DAY)


def overview(setup: SyncSetup, configure: Configure) -> Overview:
    setup.database.prepare()
    (found,) = overviews(configure(setup.organization, database=setup.database), setup.database, setup.clock.now)
    return found


def history(setup: SyncSetup) -> list[dt.date]:
    return days(setup.clock.today - 59 * ONE_DAY, 60)


def test_synchronized_organization_needs_no_action(setup: SyncSetup, configure: Configure) -> None:
    setup.ingest(history(setup))
    found = overview(setup, configure)
    assert found.required_actions == []
    assert found.last_day == setup.clock.today
    assert found.last_settled_day == setup.clock.today - 3 * ONE_DAY
    assert found.missing_days == 0
    assert [part.grouping for part in found.groupings] == ["project,user,line_item,api_key"]
    assert found.open_anomalies == []
    assert found.forecast


def test_organization_without_sync_requires_a_sync(setup: SyncSetup, configure: Configure) -> None:
    (action,) = overview(setup, configure).required_actions
    assert action.startswith("never synchronized")


def test_missing_days_are_listed_as_ranges(setup: SyncSetup, configure: Configure) -> None:
    gap = set(history(setup)[10:13])
    setup.ingest([day for day in history(setup) if day not in gap])
    found = overview(setup, configure)
    assert found.missing_ranges == [DayRange(min(gap), max(gap))]
    assert f"days are missing: {min(gap)}..{max(gap)}" in found.required_actions
    assert found.last_settled_day == min(gap) - ONE_DAY


def test_missing_days_outside_retention_recommend_no_backfill(setup: SyncSetup, configure: Configure) -> None:
    gap = set(history(setup)[10:13])
    setup.ingest([day for day in history(setup) if day not in gap])
    setup.clock.now = dt.datetime.combine(max(gap) + 366 * ONE_DAY, dt.time(12), dt.UTC)
    first, *_ = overview(setup, configure).required_actions
    assert first == (
        f"days are missing that OpenAI no longer serves: {min(gap)}..{max(gap)}; "
        f"to accept the gap, set start_date to {max(gap) + ONE_DAY} or later"
    )


def test_rejected_key_needs_an_action(setup: SyncSetup, configure: Configure) -> None:
    setup.ingest(history(setup))
    setup.simulated.revoke_key()
    setup.ingest([setup.clock.today])
    (action,) = overview(setup, configure).required_actions
    assert action.startswith("the last sync failed and needs a person:")
    assert "Incorrect API key provided" in action


def test_missing_key_file_needs_an_action(setup: SyncSetup, configure: Configure) -> None:
    setup.ingest(history(setup))
    assert setup.organization.admin_key.file
    setup.organization.admin_key.file.unlink()
    (action,) = overview(setup, configure).required_actions
    assert action.startswith(f"the admin key cannot be read: the file {setup.organization.admin_key.file}")


def test_unreconciled_days_need_an_action(setup: SyncSetup, configure: Configure) -> None:
    day = history(setup)[20]
    facts = setup.simulated.facts(day)

    def bill_a_cent_more(query: Query) -> None:
        cent = replace(facts[0], amount=Decimal("0.01"))
        setup.simulated.restate(day, lambda _: facts if "group_by" in query else (*facts, cent))

    setup.simulator.script = bill_a_cent_more
    setup.ingest(history(setup))
    (action,) = overview(setup, configure).required_actions
    assert str(day) in action
    assert "do not add up" in action


def test_open_anomaly_has_its_explanation(setup: SyncSetup, configure: Configure) -> None:
    yesterday = setup.clock.today - ONE_DAY
    setup.simulated.plant_anomaly(yesterday, 6)
    setup.ingest(history(setup))
    store_findings(setup, yesterday)
    found = overview(setup, configure).open_anomalies
    assert found
    assert all(anomaly.usage_date == yesterday and anomaly.explanation.startswith("Up $") for anomaly in found)


def test_anomaly_with_feedback_is_not_open(setup: SyncSetup, configure: Configure) -> None:
    yesterday = setup.clock.today - ONE_DAY
    setup.simulated.plant_anomaly(yesterday, 6)
    setup.ingest(history(setup))
    store_findings(setup, yesterday)
    with setup.database.connect() as connection:
        for finding in anomalies.findings(connection, "acme"):
            anomalies.store_feedback(
                connection, finding.anomaly_id, kind="mute", last_day=yesterday, reason="known", now=setup.clock.now
            )
    assert overview(setup, configure).open_anomalies == []


def test_status_and_report_show_open_anomalies_of_thirty_days(setup: SyncSetup, configure: Configure) -> None:
    long_ago = setup.clock.today - 29 * ONE_DAY  # A refresh of trailing days does not include this day.
    setup.simulated.plant_anomaly(long_ago, 6)
    setup.ingest(history(setup))
    store_findings(setup, long_ago)
    shown = overview(setup, configure)
    page = load_spend_report(configure(setup.organization, database=setup.database), setup.database, setup.clock.now)
    is_open = [finding for finding in page.anomalies if finding.is_open]
    assert len(shown.open_anomalies) == len(is_open) == page.organizations[0].open_anomalies > 0
    give_feedback_on_all(setup)
    assert overview(setup, configure).open_anomalies == []
    page = load_spend_report(configure(setup.organization, database=setup.database), setup.database, setup.clock.now)
    assert [finding for finding in page.anomalies if finding.is_open] == []


def give_feedback_on_all(setup: SyncSetup) -> None:
    with setup.database.connect() as connection:
        for finding in anomalies.findings(connection, "acme"):
            anomalies.store_feedback(
                connection,
                finding.anomaly_id,
                kind="expected",
                last_day=finding.usage_date,
                reason="known",
                now=setup.clock.now,
            )


def store_findings(setup: SyncSetup, day: dt.date) -> None:
    with setup.database.connect() as connection:
        evaluations = evaluate_days(connection, "acme", Anomalies(), [day])
        found = [finding for evaluation in evaluations.values() for finding in evaluation.findings]
        anomalies.replace_findings(connection, "acme", [day], found, trigger="schedule", now=setup.clock.now)


def test_onboarding_returns_start_dates_and_unreachable_organizations(
    make_sync_setup: MakeSyncSetup, clock: Clock
) -> None:
    known = make_sync_setup()
    revoked = make_sync_setup(
        small_organization(organization_id="org-BETA", admin_key="sk-admin-simulated-beta"), name="beta"
    )
    revoked.simulated.revoke_key()
    for _ in range(2):
        starts, unreachable = start_dates([known.organization, revoked.organization], known.database, now=clock)
        assert starts == {"acme": clock.today - 365 * ONE_DAY}
        assert list(unreachable) == ["beta"]
        assert "Incorrect API key provided" in unreachable["beta"]
    assert len(known.simulator.requests) == 1  # The second call uses the stored start date.
    assert known.query(
        "select last_error_is_permanent from openai_costs.organizations where organization = 'beta'"
    ) == [(True,)]
