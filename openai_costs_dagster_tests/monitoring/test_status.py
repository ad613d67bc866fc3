"""Test the data of `openai-costs status`: stored days, open anomalies and required actions."""

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

from ..bench import Bench, days, small_organization
from ..conftest import Clock, Configure
from ..sync_fixtures import MakeBench

START = dt.date(2026, 1, 5)


@pytest.fixture
def work(bench: MakeBench, clock: Clock) -> Bench:
    clock.now = utc_now()  # the views go by the server's clock
    return bench(small_organization(users_with_projects_served=True), start_date=clock.today - 59 * ONE_DAY)


def overview(work: Bench, configure: Configure) -> Overview:
    work.database.prepare()
    (found,) = overviews(configure(work.organization, database=work.database), work.database, work.clock.now)
    return found


def history(work: Bench) -> list[dt.date]:
    return days(work.clock.today - 59 * ONE_DAY, 60)


def test_synchronized_organization_needs_no_action(work: Bench, configure: Configure) -> None:
    work.ingest(history(work))
    found = overview(work, configure)
    assert found.required_actions == []
    assert found.last_day == work.clock.today
    assert found.last_settled_day == work.clock.today - 3 * ONE_DAY
    assert found.missing_days == 0
    assert [part.grouping for part in found.groupings] == ["project,user,line_item,api_key"]
    assert found.open_anomalies == []
    assert found.forecast


def test_organization_without_sync_needs_one(work: Bench, configure: Configure) -> None:
    (need,) = overview(work, configure).required_actions
    assert need.startswith("never synchronized")


def test_missing_days_are_listed_as_ranges(work: Bench, configure: Configure) -> None:
    hole = set(history(work)[10:13])
    work.ingest([day for day in history(work) if day not in hole])
    found = overview(work, configure)
    assert found.missing_ranges == [DayRange(min(hole), max(hole))]
    assert f"days are missing: {min(hole)}..{max(hole)}" in found.required_actions
    assert found.last_settled_day == min(hole) - ONE_DAY


def test_rejected_key_needs_an_action(work: Bench, configure: Configure) -> None:
    work.ingest(history(work))
    work.simulated.revoke_key()
    work.ingest([work.clock.today])
    (need,) = overview(work, configure).required_actions
    assert need.startswith("the last sync failed and needs a person:")
    assert "Incorrect API key provided" in need


def test_missing_key_file_needs_an_action(work: Bench, configure: Configure) -> None:
    work.ingest(history(work))
    assert work.organization.admin_key.file
    work.organization.admin_key.file.unlink()
    (need,) = overview(work, configure).required_actions
    assert need.startswith(f"the admin key cannot be read: the file {work.organization.admin_key.file}")


def test_unreconciled_days_need_an_action(work: Bench, configure: Configure) -> None:
    day = history(work)[20]
    facts = work.simulated.facts(day)

    def bill_a_cent_more(query: Query) -> None:
        cent = replace(facts[0], amount=Decimal("0.01"))
        work.simulated.restate(day, lambda _: facts if "group_by" in query else (*facts, cent))

    work.simulator.script = bill_a_cent_more
    work.ingest(history(work))
    (need,) = overview(work, configure).required_actions
    assert str(day) in need
    assert "do not add up" in need


def test_open_anomaly_has_its_explanation(work: Bench, configure: Configure) -> None:
    yesterday = work.clock.today - ONE_DAY
    work.simulated.plant_anomaly(yesterday, 6)
    work.ingest(history(work))
    store_findings(work, yesterday)
    found = overview(work, configure).open_anomalies
    assert found
    assert all(anomaly.usage_date == yesterday and anomaly.explanation.startswith("Up $") for anomaly in found)


def test_anomaly_with_feedback_is_not_open(work: Bench, configure: Configure) -> None:
    yesterday = work.clock.today - ONE_DAY
    work.simulated.plant_anomaly(yesterday, 6)
    work.ingest(history(work))
    store_findings(work, yesterday)
    with work.database.connect() as connection:
        for finding in anomalies.findings(connection, "acme"):
            anomalies.store_feedback(
                connection, finding.anomaly_id, kind="mute", last_day=yesterday, reason="known", now=work.clock.now
            )
    assert overview(work, configure).open_anomalies == []


def test_status_and_report_show_open_anomalies_of_thirty_days(work: Bench, configure: Configure) -> None:
    long_ago = work.clock.today - 29 * ONE_DAY  # older than the days that a refresh reads
    work.simulated.plant_anomaly(long_ago, 6)
    work.ingest(history(work))
    store_findings(work, long_ago)
    shown = overview(work, configure)
    page = load_spend_report(configure(work.organization, database=work.database), work.database, work.clock.now)
    is_open = [one for one in page.anomalies if one.is_open]
    assert len(shown.open_anomalies) == len(is_open) == page.organizations[0].open_anomalies > 0
    give_feedback_on_all(work)
    assert overview(work, configure).open_anomalies == []
    page = load_spend_report(configure(work.organization, database=work.database), work.database, work.clock.now)
    assert [one for one in page.anomalies if one.is_open] == []


def give_feedback_on_all(work: Bench) -> None:
    with work.database.connect() as connection:
        for finding in anomalies.findings(connection, "acme"):
            anomalies.store_feedback(
                connection,
                finding.anomaly_id,
                kind="expected",
                last_day=finding.usage_date,
                reason="known",
                now=work.clock.now,
            )


def store_findings(work: Bench, day: dt.date) -> None:
    with work.database.connect() as connection:
        judgements = evaluate_days(connection, "acme", Anomalies(), [day])
        found = [finding for judgement in judgements.values() for finding in judgement.findings]
        anomalies.replace_findings(connection, "acme", [day], found, trigger="schedule", now=work.clock.now)


def test_onboarding_returns_start_dates_and_unreachable_organizations(bench: MakeBench, clock: Clock) -> None:
    known = bench()
    revoked = bench(small_organization(organization_id="org-BETA", admin_key="sk-admin-simulated-beta"), name="beta")
    revoked.simulated.revoke_key()
    for _ in range(2):
        starts, unreachable = start_dates([known.organization, revoked.organization], known.database, now=clock)
        assert starts == {"acme": clock.today - 365 * ONE_DAY}
        assert list(unreachable) == ["beta"]
        assert "Incorrect API key provided" in unreachable["beta"]
    assert len(known.simulator.requests) == 1  # the first time only
    assert known.query(
        "select last_error_is_permanent from openai_costs.organizations where organization = 'beta'"
    ) == [(True,)]
