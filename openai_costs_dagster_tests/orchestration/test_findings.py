"""Findings are kept one per cause, replaced when a day is judged again, and changed by what people say of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from openai_costs_dagster.configuration import Anomalies
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.orchestration.detection import Judgement, judge
from openai_costs_dagster.warehouse import anomalies
from openai_costs_dagster.warehouse.anomalies import StoredFinding

from .bench import Bench, days, small_world
from .conftest import MakeBench

START = dt.date(2026, 1, 5)
SPIKE = dt.date(2026, 2, 18)
HISTORY = days(START, 50)


@pytest.fixture
def work(bench: MakeBench) -> Bench:
    return bench(small_world(users_with_projects_served=True), start_date=START)


def judged(work: Bench, day: dt.date = SPIKE, *, found_by: str = "refresh", **settings: object) -> Judgement:
    """Judges a day and keeps what was found, as the check does."""
    with work.database.connect() as connection:
        judgement = judge(connection, "acme", Anomalies.model_validate(settings), [day])[day]
        anomalies.replace_findings(connection, "acme", [day], judgement.findings, found_by=found_by, now=work.clock.now)
    work.clock.now += dt.timedelta(minutes=1)
    return judgement


def kept(work: Bench) -> list[StoredFinding]:
    with work.database.connect() as connection:
        return anomalies.findings(connection, "acme")


def largest_leaf(work: Bench) -> tuple[str, str]:
    """The project and model that spend most on the day before the spike."""
    totals: dict[tuple[str, str], Decimal] = {}
    for fact in work.world.facts(SPIKE - ONE_DAY):
        if fact.model and fact.project_id:
            key = fact.project_id, fact.model
            totals[key] = totals.get(key, Decimal(0)) + (fact.amount or 0)
    return max(totals, key=lambda key: totals[key])


def test_a_model_that_explodes_is_one_finding_that_names_it_and_its_range(work: Bench) -> None:
    project, model = largest_leaf(work)
    work.world.plant_anomaly(SPIKE, 6, project, model)
    work.read(HISTORY)
    judgement = judged(work)
    (finding,) = judgement.alarming
    assert (finding.level, finding.project_id, finding.model) == ("project and model", project, model)
    assert finding.direction == "up"
    assert finding.impact == finding.actual - finding.expected
    assert finding.lower <= finding.expected <= finding.upper < finding.actual
    assert finding.explanation.startswith(f"Up ${finding.impact:,.2f}")
    assert "unit price unchanged" in finding.explanation
    assert judgement.picture
    assert judgement.picture.startswith("![spend by day](data:image/svg+xml;base64,")
    (stored,) = [one for one in kept(work) if one.worth_alerting]
    assert (stored.actual, stored.explanation, stored.found_by) == (finding.actual, finding.explanation, "refresh")


def test_the_actual_amount_of_a_finding_is_exact(work: Bench) -> None:
    project, model = largest_leaf(work)
    work.world.plant_anomaly(SPIKE, 6, project, model)
    work.read(HISTORY)
    (finding,) = judged(work).alarming
    facts = work.world.facts(SPIKE)
    spent = [fact.amount or Decimal(0) for fact in facts if (fact.project_id, fact.model) == (project, model)]
    assert finding.actual == sum(spent, Decimal(0))


def test_judging_again_replaces_findings_and_keeps_when_and_by_whom_they_were_found(work: Bench) -> None:
    work.world.plant_anomaly(SPIKE, 6)
    work.read(HISTORY)
    judged(work, found_by="backfill")
    before = kept(work)
    judged(work, found_by="refresh")
    again = kept(work)
    assert before
    assert [(one.anomaly_id, one.found_at, one.found_by) for one in before] == [
        (one.anomaly_id, one.found_at, one.found_by) for one in again
    ]


def test_a_restated_day_is_judged_again_and_what_is_found_no_more_is_gone(work: Bench) -> None:
    work.world.plant_anomaly(SPIKE, 6)
    work.read(HISTORY)
    judged(work)
    assert kept(work)
    work.world.plant_anomaly(SPIKE, Decimal(1) / 6)
    work.read([SPIKE])
    assert judged(work).alarming == []
    assert [one for one in kept(work) if one.worth_alerting] == []


def test_what_is_below_the_threshold_is_kept_and_may_alert_when_it_grows(work: Bench) -> None:
    work.world.plant_anomaly(SPIKE, 6)
    work.read(HISTORY)
    judged(work, found_by="backfill", minimum_impact_usd=Decimal(2000))
    assert not any(one.worth_alerting for one in kept(work))
    judged(work, found_by="refresh")
    assert {one.found_by for one in kept(work) if one.worth_alerting} == {"refresh"}


def test_a_muted_series_is_judged_and_kept_and_does_not_alert(work: Bench) -> None:
    work.world.plant_anomaly(SPIKE, 6)
    work.read(HISTORY)
    judged(work)
    with work.database.connect() as connection:
        for one in kept(work):
            anomalies.keep_feedback(
                connection,
                one.anomaly_id,
                kind="mute",
                last_day=SPIKE + 9 * ONE_DAY,
                reason="a test",
                now=work.clock.now,
            )
    assert kept(work)
    assert {(one.worth_alerting, one.feedback) for one in kept(work)} == {(False, "mute: a test")}
    judgement = judged(work)
    assert judgement.findings
    assert judgement.alarming == []


def test_what_was_said_to_be_expected_is_found_no_more_and_neither_is_its_level(work: Bench) -> None:
    for day in days(SPIKE, 3):
        work.world.plant_anomaly(day, 6)
    work.read(HISTORY)
    judged(work)
    with work.database.connect() as connection:
        for one in kept(work):
            anomalies.keep_feedback(
                connection, one.anomaly_id, kind="expected", last_day=SPIKE, reason="launch", now=work.clock.now
            )
    assert judged(work).alarming == []
    assert judged(work, SPIKE + ONE_DAY).alarming == []


def test_a_day_with_a_long_past_is_judged_alike_alone_and_in_a_range(work: Bench) -> None:
    work.world.plant_anomaly(SPIKE, 6)
    work.read(days(SPIKE - 300 * ONE_DAY, 301))
    months = days(SPIKE - 60 * ONE_DAY, 61)
    with work.database.connect() as connection:
        together = judge(connection, "acme", Anomalies(), months)
        alone = {day: judge(connection, "acme", Anomalies(), [day])[day] for day in months[::10]}
    assert alone == {day: together[day] for day in alone}
    assert alone[SPIKE].alarming
    assert all(one.expected is not None for one in together.values())


def test_an_organization_that_was_silent_for_a_year_is_not_new_when_it_spends_again(work: Bench) -> None:
    history = days(SPIKE - 330 * ONE_DAY, 331)
    for day in history[30:-1]:
        work.world.empty(day)
    work.read(history)
    silent = judged(work, SPIKE - ONE_DAY)
    assert silent.actual == silent.expected == 0
    assert silent.alarming == []
    judgement = judged(work)
    assert judgement.expected == 0
    assert {finding.direction for finding in judgement.alarming} == {"up"}
    assert not any(finding.expected for finding in judgement.alarming)


def test_purging_an_organization_takes_its_findings_and_answers_along(work: Bench) -> None:
    from openai_costs_dagster.warehouse.removal import purge

    work.world.plant_anomaly(SPIKE, 6)
    work.read(HISTORY)
    judged(work)
    with work.database.connect() as connection:
        anomalies.keep_feedback(
            connection, kept(work)[0].anomaly_id, kind="mute", last_day=SPIKE, reason="x", now=work.clock.now
        )
        deleted = purge(connection, "acme")
    assert deleted["anomaly_findings"]
    assert deleted["anomaly_feedback"] == 1
    assert kept(work) == []
