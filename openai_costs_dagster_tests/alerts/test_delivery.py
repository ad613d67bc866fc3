"""Tests of alert delivery: each alert is sent once under one idempotency key."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import threading
from typing import Any

import pytest

from openai_costs_dagster.alerts import channels, delivery
from openai_costs_dagster.alerts.routing import Route, routes
from openai_costs_dagster.configuration import Alert
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.warehouse import outbox
from openai_costs_dagster.warehouse.database import Connection, Database

from ..conftest import Clock
from .conftest import SECRET, MakeRoute, configured, sample_alert
from .receiver import Receiver, receiving, slow_headers

MINUTE = dt.timedelta(minutes=1)


def record(connection: Connection, clock: Clock, *keys: str, acknowledged: bool = False, **values: Any) -> None:
    for key in keys:
        outbox.record(connection, sample_alert(key, **values), clock.now, acknowledged=acknowledged)


def run_delivery(database: Database, clock: Clock, *channels: Route) -> delivery.DeliveryResult:
    """Advance the clock by one minute, then route and deliver the pending alerts as a tick of the alert sensor does."""
    clock.now += MINUTE
    delivery.route(database, channels, clock.now)
    return delivery.deliver(database, channels, None, clock, clock.now + MINUTE)


def states(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("select channel, state, attempts from openai_costs.messages order by 1").fetchall()


def test_alert_is_sent_once_and_signed(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one")
    hook = make_route(receiver)
    assert run_delivery(database, clock, hook).sent == 1
    assert run_delivery(database, clock, hook).sent == 0
    (request,) = receiver.received
    headers = request.headers
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + request.body
    expected_signature = base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
    assert headers["Webhook-Signature"] == f"v1,{expected_signature}"
    assert headers["Idempotency-Key"] == request.document["id"]
    assert [alert["id"] for alert in request.document["alerts"]] == ["one"]
    assert request.document["alerts"][0]["facts"] == {"Spent": "$545.00"}


def test_same_alert_is_recorded_once(connection: Connection, clock: Clock) -> None:
    assert outbox.record(connection, sample_alert("one"), clock.now)
    assert not outbox.record(connection, sample_alert("one"), clock.now)


def test_acknowledged_alert_is_never_sent(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one", acknowledged=True)
    assert run_delivery(database, clock, make_route(receiver)).sent == 0
    assert states(connection) == []


def test_failed_test_alert_is_dropped_and_earlier_alerts_stay_pending(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    hook = make_route(receiver)
    record(connection, clock, "earlier")
    delivery.route(database, [hook], clock.now + MINUTE)
    receiver.status_codes = [500]
    results = delivery.send_test(database, [hook], "", None, clock)
    assert results == {"hook": "the webhook answered 500"}
    assert sorted(states(connection)) == [("hook", "dropped", 1), ("hook", "waiting", 0)]
    assert delivery.send_test(database, [hook], "hook", None, clock) == {"hook": None}
    assert delivery.send_test(database, [hook], "another", None, clock) == {}
    assert run_delivery(database, clock, hook).sent == 1  # The failed test alert is not sent again.
    assert outbox.delivery_states(connection) == []
    assert outbox.requeue_dead(connection, clock.now) == 0
    assert [request.document["alerts"][0]["kind"] for request in receiver.received] == ["test", "test", "anomaly"]


@pytest.mark.parametrize("status", [500, 429, 302, 404, 0])
def test_failed_message_is_sent_again_with_the_same_key(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute, status: int
) -> None:
    record(connection, clock, "one")
    receiver.status_codes = [status, status]
    hook = make_route(receiver)
    for _ in range(2):
        done = run_delivery(database, clock, hook)
        assert (done.sent, set(done.failed)) == (0, {"hook"})
    assert run_delivery(database, clock, hook).sent == 1
    assert len(receiver.received) == 3
    assert len(set(receiver.keys)) == 1
    assert states(connection) == [("hook", "delivered", 3)]


def test_retry_delay_doubles_and_respects_retry_after(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one")
    hook = make_route(receiver)
    receiver.status_codes = [503] * 50
    waits = []
    for _ in range(4):
        run_delivery(database, clock, hook)
        (due,) = connection.execute("select due_at from openai_costs.messages").fetchone() or ()
        waits.append((due - clock.now).total_seconds())
        clock.now = due
    assert waits == [15, 30, 60, 120]
    receiver.headers = {"Retry-After": "1800"}
    run_delivery(database, clock, hook)
    (due,) = connection.execute("select due_at from openai_costs.messages").fetchone() or ()
    assert due - clock.now == dt.timedelta(seconds=1800)


def test_hanging_channel_does_not_delay_other_channels(
    database: Database,
    connection: Connection,
    clock: Clock,
    receiver: Receiver,
    make_route: MakeRoute,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.3)
    record(connection, clock, "one")
    with receiving() as hanging:
        hanging.delay_s = 1.0
        done = run_delivery(database, clock, make_route(hanging, "hanging"), make_route(receiver, "well"))
        assert (done.sent, done.failed) == (1, {"hanging": "the webhook did not answer within 0.3 seconds"})
        assert states(connection) == [("hanging", "waiting", 1), ("well", "delivered", 1)]


def test_message_is_given_up_after_three_days_and_can_be_retried(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one")
    hook = make_route(receiver)
    receiver.status_codes = [500] * 100
    run_delivery(database, clock, hook)
    clock.now += dt.timedelta(days=4)
    run_delivery(database, clock, hook)
    assert states(connection) == [("hook", "waiting", 2)]
    for _ in range(18):
        clock.now += dt.timedelta(hours=2)
        run_delivery(database, clock, hook)
    (state,) = outbox.delivery_states(connection)
    assert (state.channel, state.waiting, state.dead) == ("hook", 0, 1)
    assert state.last_error == "the webhook answered 500"
    receiver.status_codes = [500]
    assert outbox.requeue_dead(connection, clock.now) == 1
    run_delivery(database, clock, hook)
    clock.now += MINUTE
    assert run_delivery(database, clock, hook).sent == 1


def test_weekly_digest_is_retried_after_its_first_failure(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    clock.now = dt.datetime(2026, 2, 2, 9, tzinfo=dt.UTC)
    digest = make_route(receiver, digest="0 8 * * 1")
    record(connection, clock, "one")
    run_delivery(database, clock, digest)
    receiver.status_codes = [503]
    clock.now += dt.timedelta(days=7)
    assert run_delivery(database, clock, digest).failed
    clock.now += MINUTE
    assert run_delivery(database, clock, digest).sent == 1


def test_slow_headers_do_not_extend_the_timeout(
    database: Database,
    connection: Connection,
    clock: Clock,
    make_route: MakeRoute,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.5)
    record(connection, clock, "one")
    with slow_headers() as slow:
        done = run_delivery(database, clock, make_route(slow, "slow"))
    assert set(done.failed) == {"slow"}
    assert states(connection) == [("slow", "waiting", 1)]


def test_messages_of_removed_channels_are_dropped(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one")
    receiver.status_codes = [500]
    run_delivery(database, clock, make_route(receiver, "old"))
    run_delivery(database, clock, make_route(receiver, "new"))
    assert states(connection) == [("old", "dropped", 1)]
    assert outbox.delivery_states(connection) == []


def test_concurrent_senders_send_each_message_once(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    for number in range(10):
        record(connection, clock, f"alert {number}", usage_date=dt.date(2026, 1, 1 + number))
    hook = make_route(receiver)
    receiver.delay_s = 0.02
    clock.now += MINUTE
    senders = [threading.Thread(target=run_delivery, args=(database, clock, hook)) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(receiver.received) == 10
    assert len(set(receiver.keys)) == 10


def test_message_of_a_killed_sender_is_sent_again_with_the_same_key(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one")
    hook = make_route(receiver)

    def kill_the_session_of_the_sender() -> None:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'openai-costs alerts' and datname = current_database()"
        )
        receiver.before_response = lambda: None

    receiver.before_response = kill_the_session_of_the_sender
    with pytest.raises(Exception, match=r"cannot be used|terminat"):
        run_delivery(database, clock, hook)
    assert run_delivery(database, clock, hook).sent == 1
    assert len(receiver.received) == 2
    assert len(set(receiver.keys)) == 1


def test_claimed_message_is_not_claimed_again_before_the_claim_expires(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one")
    hook = make_route(receiver)
    delivery.route(database, [hook], clock.now + MINUTE)
    clock.now += MINUTE
    assert outbox.claim_message(connection, "hook", 0, clock.now, clock.now + delivery.CLAIM_DURATION)
    deadline = clock.now + MINUTE
    assert delivery.deliver(database, [hook], None, clock, deadline).sent == 0
    assert run_delivery(database, clock, hook).sent == 1


def test_alerts_are_grouped_by_day_and_kind(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    day = dt.date(2026, 2, 2)
    record(connection, clock, "one", "two", "three", usage_date=day)
    record(connection, clock, "four", usage_date=day, kind="budget")
    record(connection, clock, "five", usage_date=day + dt.timedelta(days=1))
    run_delivery(database, clock, make_route(receiver))
    found = sorted([alert["id"] for alert in request.document["alerts"]] for request in receiver.received)
    assert found == [["five"], ["four"], ["one", "two", "three"]]


def test_alerts_are_routed_after_the_grouping_delay(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one")
    assert delivery.route(database, [make_route(receiver)], clock.now) == 0
    assert delivery.route(database, [make_route(receiver)], clock.now + MINUTE) == 1


def test_digest_contains_all_alerts_until_its_tick(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    clock.now = dt.datetime(2026, 2, 2, 9, tzinfo=dt.UTC)
    digest = make_route(receiver, digest="0 8 * * *")
    for key in ("one", "two", "three"):
        record(connection, clock, key, usage_date=clock.today)
        clock.now += dt.timedelta(hours=6)
        assert run_delivery(database, clock, digest).sent == 0
    clock.now = dt.datetime(2026, 2, 3, 8, tzinfo=dt.UTC)
    assert run_delivery(database, clock, digest).sent == 1
    (request,) = receiver.received
    assert [alert["id"] for alert in request.document["alerts"]] == ["one", "two", "three"]


def test_alert_without_a_channel_is_not_sent_to_a_later_channel(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one")
    run_delivery(database, clock)
    assert run_delivery(database, clock, make_route(receiver)).sent == 0


@pytest.mark.parametrize(
    ("settings", "is_sent"),
    [
        ({}, True),
        ({"events": ("budget",)}, False),
        ({"minimum_severity": "high"}, False),
        ({"minimum_severity": "medium"}, True),
        ({"organizations": ("acme",)}, True),
        ({"projects": ("proj_a",)}, True),
        ({"projects": ("proj_b",)}, False),
    ],
)
def test_channel_receives_alerts_that_match_its_filters(
    database: Database,
    connection: Connection,
    clock: Clock,
    receiver: Receiver,
    make_route: MakeRoute,
    settings: dict[str, Any],
    is_sent: bool,
) -> None:
    record(connection, clock, "one", project_id="proj_a")
    assert run_delivery(database, clock, make_route(receiver, **settings)).sent == int(is_sent)


def test_project_alert_url_becomes_a_channel_limited_to_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = configured(project_alert_urls={"proj_a": {"env": "URL_OF_OWNER"}})
    (owner,) = routes(configuration)
    assert owner.name == "owner of proj_a in acme"
    assert owner.settings.projects == ("proj_a",)
    assert owner.settings.organizations == ("acme",)


def test_apprise_service_receives_title_text_and_picture(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    record(connection, clock, "one", chart=b"\x89PNG\r\n\x1a\n", severity="high")
    assert run_delivery(database, clock, make_route(receiver, service="json")).sent == 1
    document = receiver.received[0].document
    assert document["title"] == "acme: unusual spend on 2026-02-02"
    assert "Up $412" in document["message"]
    assert document["type"] == "failure"
    assert [attachment["filename"] for attachment in document["attachments"]] == ["spend.png"]


def test_channel_url_is_in_no_table_and_no_message(
    database: Database, connection: Connection, clock: Clock, make_route: MakeRoute, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(connection, clock, "one")
    monkeypatch.setenv("SERVICE", "json://user:hunter2@127.0.0.1:1/x")
    monkeypatch.setenv("HOOK", "https://hunter2@127.0.0.1:1/hunter2")
    monkeypatch.setenv("SECRET", "hunter2-secret")
    service = Alert(url=SecretReference(env="SERVICE"))
    hook = Alert(webhook=SecretReference(env="HOOK"), secret=SecretReference(env="SECRET"))
    plain = Alert(webhook=SecretReference(env="PLAIN"), secret=SecretReference(env="SECRET"))
    monkeypatch.setenv("PLAIN", "http://hunter2.example/x")
    broken = Alert(webhook=SecretReference(env="BROKEN"), secret=SecretReference(env="SECRET"))
    monkeypatch.setenv("BROKEN", "https://user:hunter2@ex\u2100mple.com/x")
    done = run_delivery(database, clock, *routes(configured(service, hook, plain, broken)))
    assert len(done.failed) == 4
    assert "https" in done.failed["environment variable PLAIN"]
    assert "hunter2" not in str(done.failed)
    assert "hunter2" not in str(connection.execute("select * from openai_costs.messages").fetchall())


def test_missing_secret_is_reported_and_alerts_stay_pending(
    database: Database,
    connection: Connection,
    clock: Clock,
    receiver: Receiver,
    make_route: MakeRoute,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record(connection, clock, "one")
    hook = make_route(receiver)
    monkeypatch.delenv("URL_OF_HOOK")
    assert run_delivery(database, clock, hook).failed == {"hook": "the environment variable URL_OF_HOOK is not set"}
    monkeypatch.setenv("URL_OF_HOOK", receiver.url)
    assert run_delivery(database, clock, hook).sent == 1


def test_findings_record_the_time_of_their_alert(
    database: Database, connection: Connection, clock: Clock, receiver: Receiver, make_route: MakeRoute
) -> None:
    connection.execute(
        "insert into openai_costs.anomaly_findings (organization, usage_date, level, actual, expected, lower, upper,"
        " impact, score, direction, severity, reason, explanation, worth_alerting, trigger, found_at, evaluated_at)"
        " values ('acme', '2026-02-02', 'organization', 1, 1, 1, 1, 1, 1, 'up', 'low', '', '', true, 'schedule',"
        " now(), now())"
    )
    (number,) = connection.execute("select anomaly_id from openai_costs.anomaly_findings").fetchone() or ()
    record(connection, clock, "one", anomaly_id=number)
    run_delivery(database, clock, make_route(receiver))
    assert connection.execute("select alerted_at from openai_costs.anomalies").fetchone() == (clock.now,)
