"""Tests of the heartbeat, which is sent once a day after yesterday is stored for every organization."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator

import pytest

from openai_costs_dagster.alerts import channels
from openai_costs_dagster.alerts.heartbeat import send_heartbeat
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Database

from ..conftest import Clock, Configure
from .receiver import Receiver, receiving, slow_headers

SECRET = "4f1c9e7a-ping"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("HEARTBEAT", f"{receiver.url}/{SECRET}")
        yield receiver


@pytest.fixture
def configuration(configure: Configure) -> Configuration:
    return configured(configure, "acme", "beta")


def configured(configure: Configure, *names: str, **settings: dt.date) -> Configuration:
    organizations = (
        Organization(name=name, admin_key=SecretReference(env=f"KEY_{name}"), **settings) for name in names
    )
    return configure(*organizations, heartbeat_url=SecretReference(env="HEARTBEAT"))


Send = Callable[..., bool]


@pytest.fixture
def send(database: Database, clock: Clock, configuration: Configuration) -> Send:
    def sent(location: str = "openai_costs", configuration: Configuration = configuration) -> bool:
        return send_heartbeat(database, configuration, location, clock)

    return sent


def store_day(database: Database, organization: str, day: dt.date, at: dt.datetime) -> None:
    """Store a day of an organization as fetched from OpenAI at the time `at`."""
    with database.connect() as connection:
        connection.execute(
            "insert into openai_costs.cost_days (organization, usage_date, sync_window_id, grouping, provisional,"
            " fetched_at, row_count, received_count, absent_amounts, amount_usd)"
            " values (%s, %s, 1, '', true, %s, 0, 0, 0, 0)"
            " on conflict (organization, usage_date) do update set fetched_at = excluded.fetched_at",
            [organization, day, at],
        )


def store_yesterday(database: Database, clock: Clock, *names: str) -> None:
    for name in names or ("acme", "beta"):
        store_day(database, name, clock.today - ONE_DAY, clock.now)


def test_heartbeat_is_sent_after_yesterday_of_every_organization_is_stored(
    database: Database, clock: Clock, service: Receiver, send: Send
) -> None:
    assert not send()
    store_yesterday(database, clock, "acme")
    assert not send()
    # A day that was fetched before it ended is incomplete.
    store_day(database, "beta", clock.today - ONE_DAY, clock.now - ONE_DAY)
    assert not send()
    assert service.received == []
    store_yesterday(database, clock, "beta")
    assert send()
    (request,) = service.received
    assert (request.method, request.path, request.body) == ("GET", f"/hook/{SECRET}", b"")


def test_heartbeat_is_sent_once_a_day(database: Database, clock: Clock, service: Receiver, send: Send) -> None:
    for number in range(1, 4):
        store_yesterday(database, clock)
        assert send()
        for _ in range(5):
            assert not send()
            clock.now += dt.timedelta(hours=1)
        clock.now += ONE_DAY - dt.timedelta(hours=5)
        assert not send()  # A new day has begun, and its yesterday is not stored yet.
        assert len(service.received) == number


def test_organization_that_starts_today_does_not_delay_the_heartbeat(
    database: Database, clock: Clock, service: Receiver, send: Send, configure: Configure
) -> None:
    new = configured(configure, "new", start_date=clock.today)
    both = new.model_copy(
        update={"organizations": {**new.organizations, **configured(configure, "acme").organizations}}
    )
    store_yesterday(database, clock, "acme")
    assert not send(configuration=new)
    assert send(configuration=both)


def test_each_code_location_has_its_own_heartbeat(
    database: Database, clock: Clock, service: Receiver, send: Send
) -> None:
    store_yesterday(database, clock)
    assert [send("one"), send("two"), send("one"), send("two")] == [True, True, False, False]
    assert len(service.received) == 2


@pytest.mark.parametrize("status", [500, 404, 301, 302, 307])
def test_failed_heartbeat_is_recorded_and_retried_with_growing_pauses(
    database: Database,
    clock: Clock,
    service: Receiver,
    send: Send,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store_yesterday(database, clock)
    service.status_codes = [status] * 3
    service.headers = {"Location": "https://elsewhere.example/"}
    caplog.set_level(logging.DEBUG)
    pauses = []
    for _ in range(3):
        assert not send()
        assert not send()  # The pause has not passed yet.
        (heartbeat,) = stored(database)
        pauses.append((heartbeat.due_at - clock.now).total_seconds())
        assert (heartbeat.delivered_at, heartbeat.last_error) == (None, f"the heartbeat service answered {status}")
        clock.now = heartbeat.due_at
    assert pauses == [30, 60, 120]
    assert send()
    (heartbeat,) = stored(database)
    assert (heartbeat.attempts, heartbeat.last_error, heartbeat.delivered_at) == (4, None, clock.now)
    assert len(service.received) == 4
    assert f"heartbeat_url could not be requested: the heartbeat service answered {status}" in caplog.messages
    assert SECRET not in caplog.text


def stored(database: Database) -> list[sensor_ticks.Heartbeat]:
    with database.connect() as connection:
        return sensor_ticks.heartbeats(connection)


def test_heartbeat_of_a_new_day_is_not_delayed_by_earlier_failures(
    database: Database, clock: Clock, service: Receiver, send: Send
) -> None:
    service.status_codes = [500]
    store_yesterday(database, clock)
    assert not send()
    clock.now += ONE_DAY
    store_yesterday(database, clock)
    assert send()
    (heartbeat,) = stored(database)
    assert (heartbeat.day, heartbeat.attempts) == (clock.today - ONE_DAY, 1)


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", "the environment variable HEARTBEAT is not set"),
        (f"http://ping.example/{SECRET}", "the environment variable HEARTBEAT contains no https URL"),
        (f"{SECRET}", "the environment variable HEARTBEAT contains no https URL"),
        (f"http://127.0.0.1:1/{SECRET}", "the heartbeat service did not answer properly: ConnectError"),
        (f"https://[::1/{SECRET}", "the environment variable HEARTBEAT contains no https URL"),
    ],
)
def test_unusable_heartbeat_url_is_recorded_without_the_url(
    database: Database, clock: Clock, send: Send, monkeypatch: pytest.MonkeyPatch, url: str, error: str
) -> None:
    monkeypatch.setenv("HEARTBEAT", url)
    store_yesterday(database, clock)
    assert not send()
    (heartbeat,) = stored(database)
    assert heartbeat.last_error == error


def test_timeout_of_the_heartbeat_service_is_recorded(
    database: Database, clock: Clock, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.3)
    store_yesterday(database, clock)
    with slow_headers() as slow:
        monkeypatch.setenv("HEARTBEAT", slow.url)
        assert not send()
    (heartbeat,) = stored(database)
    assert heartbeat.last_error == "the heartbeat service did not answer within 0.3 seconds"


def test_heartbeat_without_a_url_is_not_sent(
    database: Database, clock: Clock, service: Receiver, configuration: Configuration
) -> None:
    store_yesterday(database, clock)
    silent = configuration.model_copy(update={"heartbeat_url": None})
    assert not send_heartbeat(database, silent, "openai_costs", clock)
    assert service.received == []
