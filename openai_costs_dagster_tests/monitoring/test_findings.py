"""Tests of anomaly findings: their causes, repeated evaluations of a day, and the effect of mutes and expected days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from openai_costs_dagster.configuration import Anomalies
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.anomalies import evaluate_days, expected_days, is_already_reported
from openai_costs_dagster.monitoring.findings import DayEvaluation
from openai_costs_dagster.records import SeriesKey, Trigger
from openai_costs_dagster.simulator import Fact
from openai_costs_dagster.spend.detection.root_causes import Cause, Flag
from openai_costs_dagster.spend.price_volume_mix import Segment
from openai_costs_dagster.warehouse import anomalies
from openai_costs_dagster.warehouse.anomalies import FOREVER, Feedback, StoredFinding
from openai_costs_dagster.warehouse.database import Connection

from ..spend.detection.panels import BESIDE, panel
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days, small_organization

START = dt.date(2026, 1, 5)
SPIKE = dt.date(2026, 2, 18)
HISTORY = days(START, 50)


@pytest.fixture
def setup(make_sync_setup: MakeSyncSetup) -> SyncSetup:
    return make_sync_setup(small_organization(users_with_projects_served=True), start_date=START)


def evaluate_and_store(
    setup: SyncSetup, day: dt.date = SPIKE, *, trigger: Trigger = "schedule", **settings: object
) -> DayEvaluation:
    """Evaluate a day and store the findings, as the asset check `anomalous_spend` does."""
    with setup.database.connect() as connection:
        evaluation = evaluate_days(connection, "acme", Anomalies.model_validate(settings), [day])[day]
        anomalies.replace_findings(connection, "acme", [day], evaluation.findings, trigger=trigger, now=setup.clock.now)
    setup.clock.now += dt.timedelta(minutes=1)
    return evaluation


def stored_findings(setup: SyncSetup) -> list[StoredFinding]:
    with setup.database.connect() as connection:
        return anomalies.findings(connection, "acme")


def mute(
    setup: SyncSetup, finding: StoredFinding, *, days: int | None = None, connection: Connection | None = None
) -> None:
    """Mute the series of a finding until a number of days from today has passed, or without an end."""
    last_day = anomalies.end_of_mute(setup.clock.today, days)
    with nullcontext(connection) if connection else setup.database.connect() as used_connection:
        anomalies.store_feedback(
            used_connection, finding.anomaly_id, kind="mute", last_day=last_day, reason="a test", now=setup.clock.now
        )


def largest_leaf(setup: SyncSetup) -> tuple[str, str]:
    """Return the project and model with the highest spend on the day before the spike."""
    totals: dict[tuple[str, str], Decimal] = {}
    for fact in setup.simulated.facts(SPIKE - ONE_DAY):
        if fact.model and fact.project_id:
            key = fact.project_id, fact.model
            totals[key] = totals.get(key, Decimal(0)) + (fact.amount or 0)
    return max(totals, key=lambda key: totals[key])


def test_model_with_high_spend_is_one_finding_with_its_range(setup: SyncSetup) -> None:
    project, model = largest_leaf(setup)
    setup.simulated.plant_anomaly(SPIKE, 6, project, model)
    setup.ingest(HISTORY)
    evaluation = evaluate_and_store(setup)
    (finding,) = evaluation.alerting
    assert (finding.level, finding.series) == ("project and model", SeriesKey("acme", project, model))
    assert finding.direction == "up"
    assert finding.impact == finding.actual - finding.expected
    assert finding.lower <= finding.expected <= finding.upper < finding.actual
    assert finding.explanation.startswith(f"Up ${finding.impact:,.2f}")
    assert "unit price unchanged" in finding.explanation
    assert evaluation.chart_markdown
    assert evaluation.chart_markdown.startswith("![spend by day](data:image/svg+xml;base64,")
    (stored,) = [finding for finding in stored_findings(setup) if finding.worth_alerting]
    assert (stored.actual, stored.explanation, stored.trigger) == (finding.actual, finding.explanation, "schedule")


def test_actual_amount_of_a_finding_is_exact(setup: SyncSetup) -> None:
    project, model = largest_leaf(setup)
    setup.simulated.plant_anomaly(SPIKE, 6, project, model)
    setup.ingest(HISTORY)
    (finding,) = evaluate_and_store(setup).alerting
    facts = setup.simulated.facts(SPIKE)
    spent = [fact.amount or Decimal(0) for fact in facts if (fact.project_id, fact.model) == (project, model)]
    assert finding.actual == sum(spent, Decimal(0))


def test_second_evaluation_keeps_id_time_and_trigger_of_findings(setup: SyncSetup) -> None:
    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.ingest(HISTORY)
    evaluate_and_store(setup, trigger="backfill")
    before = stored_findings(setup)
    evaluate_and_store(setup, trigger="schedule")
    again = stored_findings(setup)
    assert before
    assert [(finding.anomaly_id, finding.found_at, finding.trigger) for finding in before] == [
        (finding.anomaly_id, finding.found_at, finding.trigger) for finding in again
    ]


def test_finding_disappears_after_a_restatement(setup: SyncSetup) -> None:
    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.ingest(HISTORY)
    evaluate_and_store(setup)
    assert stored_findings(setup)
    setup.simulated.plant_anomaly(SPIKE, Decimal(1) / 6)
    setup.ingest([SPIKE])
    assert evaluate_and_store(setup).alerting == []
    assert [finding for finding in stored_findings(setup) if finding.worth_alerting] == []


def test_finding_below_the_minimum_is_stored_and_alerts_after_growth(setup: SyncSetup) -> None:
    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.ingest(HISTORY)
    evaluate_and_store(setup, trigger="backfill", minimum_impact_usd=Decimal(2000))
    assert not any(finding.worth_alerting for finding in stored_findings(setup))
    evaluate_and_store(setup, trigger="schedule")
    assert {finding.trigger for finding in stored_findings(setup) if finding.worth_alerting} == {"schedule"}


def test_finding_of_a_muted_series_is_stored_and_does_not_alert(setup: SyncSetup) -> None:
    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.ingest(HISTORY)
    evaluate_and_store(setup)
    with setup.database.connect() as connection:
        for finding in stored_findings(setup):
            anomalies.store_feedback(
                connection,
                finding.anomaly_id,
                kind="mute",
                last_day=SPIKE + 9 * ONE_DAY,
                reason="a test",
                now=setup.clock.now,
            )
    assert stored_findings(setup)
    assert {(finding.worth_alerting, finding.feedback) for finding in stored_findings(setup)} == {
        (False, "mute: a test")
    }
    evaluation = evaluate_and_store(setup)
    assert evaluation.findings
    assert evaluation.alerting == []


def add_credit(amount: str) -> Callable[[tuple[Fact, ...]], tuple[Fact, ...]]:
    """Return a function that adds a credit to the costs of a day. The credit belongs to no project, user or API key."""

    def more(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        blank: dict[str, Any] = {
            "user_id": None,
            "user_email": None,
            "project_id": None,
            "project_name": None,
            "api_key_id": None,
        }
        credit = replace(facts[0], **blank, line_item="Promotional credit", amount=Decimal(amount), requests=0)
        return (*facts, credit)

    return more


def test_alerting_findings_reach_the_minimum_and_are_outside_their_range(setup: SyncSetup) -> None:
    dice = np.random.default_rng(4)
    for day in HISTORY[20::3]:
        if dice.random() < 0.5:
            setup.simulated.plant_anomaly(day, float(dice.uniform(0.1, 4)))
        else:
            setup.simulated.restate(day, add_credit(f"-{dice.uniform(1, 90):.2f}"))
    setup.ingest(HISTORY)
    minimum = Decimal(9)
    with setup.database.connect() as connection:
        evaluations = evaluate_days(connection, "acme", Anomalies(minimum_impact_usd=minimum), HISTORY)
    alerting = [finding for evaluation in evaluations.values() for finding in evaluation.alerting]
    assert {"up", "down"} <= {finding.direction for finding in alerting}
    for finding in alerting:
        assert abs(finding.impact) >= minimum
        assert not finding.lower <= finding.actual <= finding.upper
        assert "$-" not in finding.explanation
        assert finding.impact == finding.actual - finding.expected


def test_credit_is_explained_as_credit(setup: SyncSetup) -> None:
    setup.simulated.restate(SPIKE, add_credit("-300.00"))
    setup.ingest(HISTORY)
    (finding,) = evaluate_and_store(setup).alerting
    assert "on the organization: a credit of $300.00 (Promotional credit). Spend was -$" in finding.explanation
    assert "tokens" not in finding.explanation


@pytest.mark.parametrize(("minimum", "worth"), [(5000, False), (5, True)])
def test_vanished_day_alerts_from_the_minimum_impact(setup: SyncSetup, minimum: int, worth: bool) -> None:
    history = HISTORY[30:]
    setup.ingest(history)
    setup.simulated.clear_day(SPIKE)
    setup.ingest([SPIKE])
    found = evaluate_and_store(setup, minimum_impact_usd=minimum).findings
    assert [finding.worth_alerting for finding in found if finding.reason == "vanished"] == [worth]


def test_concurrent_mutes_are_both_applied(setup: SyncSetup) -> None:
    """Two commands store their mutes at the same time: both transactions are open before the first commit."""
    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.simulated.plant_anomaly(SPIKE - ONE_DAY, Decimal("0.05"))
    setup.ingest(HISTORY)
    for day in (SPIKE - ONE_DAY, SPIKE):
        evaluate_and_store(setup, day)
    first_finding, second_finding = [finding for finding in stored_findings(setup) if finding.worth_alerting][:2]
    assert first_finding.anomaly_id != second_finding.anomaly_id
    with setup.database.connect() as first, setup.database.connect() as second, first.transaction():
        mute(setup, first_finding, connection=first)
        with second.transaction():
            mute(setup, second_finding, connection=second)
    assert {
        found.worth_alerting
        for found in stored_findings(setup)
        if found.anomaly_id in (first_finding.anomaly_id, second_finding.anomaly_id)
    } == {False}


def test_mute_during_an_evaluation_applies_to_its_findings(setup: SyncSetup) -> None:
    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.ingest(HISTORY)
    evaluate_and_store(setup)
    with setup.database.connect() as connection:
        evaluation = evaluate_days(connection, "acme", Anomalies(), [SPIKE])[SPIKE]
        for finding in stored_findings(setup):
            mute(setup, finding)
        anomalies.replace_findings(
            connection, "acme", [SPIKE], evaluation.findings, trigger="schedule", now=setup.clock.now
        )
    assert {(finding.worth_alerting, finding.muted) for finding in stored_findings(setup)} == {(False, True)}


def test_feedback_on_a_missing_finding_is_rejected(setup: SyncSetup) -> None:
    with setup.database.connect() as connection:
        assert not anomalies.store_feedback(
            connection, 12345, kind="mute", last_day=SPIKE, reason="late", now=setup.clock.now
        )
        assert anomalies.stored_feedback(connection, "mute") == []


def test_mute_runs_from_the_day_of_the_finding_to_its_last_day(setup: SyncSetup) -> None:
    today = setup.clock.today
    assert anomalies.end_of_mute(today, 30) == today + 29 * ONE_DAY
    assert anomalies.end_of_mute(today, None) == FOREVER
    project, model = largest_leaf(setup)
    setup.simulated.plant_anomaly(SPIKE, 6, project, model)
    setup.ingest(HISTORY)
    evaluate_and_store(setup)
    (finding,) = [finding for finding in stored_findings(setup) if finding.worth_alerting]
    mute(setup, finding, days=3)
    with setup.database.connect() as connection:
        (running,) = anomalies.stored_feedback(connection, "mute", "acme", running_on=today + 2 * ONE_DAY)
        assert anomalies.stored_feedback(connection, "mute", "acme", running_on=today + 3 * ONE_DAY) == []
    assert (running.anomaly_id, running.series) == (finding.anomaly_id, SeriesKey("acme", project, model))
    assert (running.first_day, running.last_day, running.reason) == (SPIKE, today + 2 * ONE_DAY, "a test")


def test_unmuted_series_alerts_again(setup: SyncSetup) -> None:
    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.ingest(HISTORY)
    before = evaluate_and_store(setup).alerting
    for finding in stored_findings(setup):
        mute(setup, finding)
    assert evaluate_and_store(setup).alerting == []
    with setup.database.connect() as connection:
        for finding in stored_findings(setup):
            anomalies.delete_feedback(connection, finding.anomaly_id, kind="mute")
        assert anomalies.stored_feedback(connection, "mute") == []
    assert [finding.worth_alerting for finding in stored_findings(setup)] == [True] * len(before)
    assert evaluate_and_store(setup).alerting == before


def test_deleted_feedback_restores_the_evaluation(setup: SyncSetup) -> None:
    for day in days(SPIKE, 3):
        setup.simulated.plant_anomaly(day, 6)
    setup.ingest(HISTORY)
    before = {day: evaluate_and_store(setup, day) for day in days(SPIKE, 3)}
    (finding, *_) = [
        finding for finding in stored_findings(setup) if finding.usage_date == SPIKE and finding.worth_alerting
    ]
    with setup.database.connect() as connection:
        anomalies.store_feedback(
            connection, finding.anomaly_id, kind="expected", last_day=SPIKE, reason="launch", now=setup.clock.now
        )
    assert {day: evaluate_and_store(setup, day).expected for day in days(SPIKE, 3)} != {
        day: evaluation.expected for day, evaluation in before.items()
    }
    # The second evaluation of the day replaced its findings, and an expected day has no finding.
    assert finding.anomaly_id not in [stored.anomaly_id for stored in stored_findings(setup)]
    with setup.database.connect() as connection:
        assert anomalies.delete_feedback(connection, finding.anomaly_id, kind="expected") == 1
    assert {day: evaluate_and_store(setup, day) for day in days(SPIKE, 3)} == before


def test_endless_feedback_is_not_expanded_into_days(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: DayRange) -> Iterator[dt.date]:
        raise AssertionError("the days of the feedback were expanded")

    made = panel(BESIDE)
    monkeypatch.setattr(DayRange, "__iter__", refuse)
    feedback = Feedback("expected", SeriesKey("acme", project="chat"), None, made.days[100], FOREVER, "a test")
    mask = expected_days(made, [feedback, feedback._replace(kind="mute", first_day=made.days[0])])
    assert mask is not None
    chat = [column for column, series in enumerate(made.series) if series.project in ("", "chat")]
    assert np.flatnonzero(mask.any(1)).tolist() == list(range(100, len(made.days)))
    assert np.flatnonzero(mask[-1]).tolist() == chat
    assert expected_days(made, [feedback._replace(first_day=made.days[-1] + ONE_DAY)]) is None


USER = SeriesKey("acme", user="user_1")


def used(project: str, change: str, model: str = "gpt", api_key: str = "key_1") -> Segment:
    """Return a segment of a user's spend with a change in US dollars."""
    return Segment(project, model, api_key, "output", "output", None, Decimal(change), Decimal(0), None, None)


@pytest.mark.parametrize(
    ("user", "causes", "parts", "expected"),
    [
        pytest.param(-24, [("p", -18), ("q", -6)], [("p", "-18"), ("q", "-6")], True, id="costs_cover_the_user"),
        pytest.param(-98, [("p", -32)], [("p", "-32"), ("q", "-66")], True, id="a_fall_is_reported_once"),
        pytest.param(98, [("p", 32)], [("p", "32"), ("q", "66")], False, id="twofold_rise_is_reported"),
        pytest.param(50, [("p", 32)], [("p", "30"), ("q", "20")], True, id="smaller_rise_is_not_reported"),
        pytest.param(24, [("p", -18)], [("p", "24")], False, id="the_other_direction_explains_nothing"),
        pytest.param(-24, [("q", -18)], [("p", "-24")], False, id="another_project_explains_nothing"),
        pytest.param(-24, [("", -24)], [("p", "-24")], False, id="the_organization_names_no_cause"),
        pytest.param(-24, [], [("p", "-24")], False, id="nothing_else_was_found"),
    ],
)
def test_user_is_reported_unless_costs_cover_the_change(
    user: float, causes: list[tuple[str, float]], parts: list[tuple[str, str]], expected: bool
) -> None:
    of_costs = [Cause(Flag(SeriesKey("acme", project), difference)) for project, difference in causes]
    assert is_already_reported(Flag(USER, user), of_costs, [used(*part) for part in parts]) is expected


def test_spend_without_key_covers_spend_allocated_to_keys() -> None:
    cause = Cause(Flag(SeriesKey("acme", "p", api_key="(none)"), -20.0))
    assert is_already_reported(Flag(USER, -20.0), [cause], [used("p", "-20")])


def test_expected_day_and_later_days_at_its_level_do_not_alert(setup: SyncSetup) -> None:
    for day in days(SPIKE, 3):
        setup.simulated.plant_anomaly(day, 6)
    setup.ingest(HISTORY)
    evaluate_and_store(setup)
    with setup.database.connect() as connection:
        for finding in stored_findings(setup):
            anomalies.store_feedback(
                connection, finding.anomaly_id, kind="expected", last_day=SPIKE, reason="launch", now=setup.clock.now
            )
    assert evaluate_and_store(setup).alerting == []
    assert evaluate_and_store(setup, SPIKE + ONE_DAY).alerting == []


def test_single_day_and_range_have_equal_evaluations(setup: SyncSetup) -> None:
    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.ingest(days(SPIKE - 300 * ONE_DAY, 301))
    months = days(SPIKE - 60 * ONE_DAY, 61)
    with setup.database.connect() as connection:
        together = evaluate_days(connection, "acme", Anomalies(), months)
        alone = {day: evaluate_days(connection, "acme", Anomalies(), [day])[day] for day in months[::10]}
    assert alone == {day: together[day] for day in alone}
    assert alone[SPIKE].alerting
    assert all(evaluation.expected is not None for evaluation in together.values())


def test_spend_after_three_hundred_days_of_silence_is_flagged(setup: SyncSetup) -> None:
    history = days(SPIKE - 330 * ONE_DAY, 331)
    for day in history[30:-1]:
        setup.simulated.clear_day(day)
    setup.ingest(history)
    silent = evaluate_and_store(setup, SPIKE - ONE_DAY)
    assert silent.actual == silent.expected == 0
    assert silent.alerting == []
    evaluation = evaluate_and_store(setup)
    assert evaluation.expected == 0
    assert {finding.direction for finding in evaluation.alerting} == {"up"}
    assert not any(finding.expected for finding in evaluation.alerting)


def test_purge_deletes_findings_and_feedback(setup: SyncSetup) -> None:
    from openai_costs_dagster.warehouse.purge import purge

    setup.simulated.plant_anomaly(SPIKE, 6)
    setup.ingest(HISTORY)
    evaluate_and_store(setup)
    with setup.database.connect() as connection:
        anomalies.store_feedback(
            connection,
            stored_findings(setup)[0].anomaly_id,
            kind="mute",
            last_day=SPIKE,
            reason="x",
            now=setup.clock.now,
        )
        deleted = purge(connection, "acme")
    assert deleted["anomaly_findings"]
    assert deleted["anomaly_feedback"] == 1
    assert stored_findings(setup) == []
