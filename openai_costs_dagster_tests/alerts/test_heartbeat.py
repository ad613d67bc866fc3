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
from .receiver import Receiver, dripping, receiving

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


def read(database: Database, organization: str, day: dt.date, at: dt.datetime) -> None:
    """A day that was read completely at a time."""
    with database.connect() as connection:
        connection.execute(
            "insert into openai_costs.cost_days (organization, usage_date, sync_window_id, grouping, provisional,"
            " fetched_at, row_count, received_count, absent_amounts, amount_usd)"
            " values (%s, %s, 1, '', true, %s, 0, 0, 0, 0)"
            " on conflict (organization, usage_date) do update set fetched_at = excluded.fetched_at",
            [organization, day, at],
        )


def morning(database: Database, clock: Clock, *names: str) -> None:
    for name in names or ("acme", "beta"):
        read(database, name, clock.today - ONE_DAY, clock.now)


def test_heartbeat_follows_when_yesterday_of_every_organization_is_read(
    database: Database, clock: Clock, service: Receiver, send: Send
) -> None:
    assert not send()
    morning(database, clock, "acme")
    assert not send()
    read(database, "beta", clock.today - ONE_DAY, clock.now - ONE_DAY)  # before the day's end
    assert not send()
    assert service.received == []
    morning(database, clock, "beta")
    assert send()
    (request,) = service.received
    assert (request.method, request.path, request.body) == ("GET", f"/hook/{SECRET}", b"")


def test_each_day_is_reported_once(database: Database, clock: Clock, service: Receiver, send: Send) -> None:
    for number in range(1, 4):
        morning(database, clock)
        assert send()
        for _ in range(5):
            assert not send()
            clock.now += dt.timedelta(hours=1)
        clock.now += ONE_DAY - dt.timedelta(hours=5)
        assert not send()  # yesterday is another day now
        assert len(service.received) == number


def test_organization_that_starts_today_does_not_delay_the_heartbeat(
    database: Database, clock: Clock, service: Receiver, send: Send, configure: Configure
) -> None:
    new = configured(configure, "new", start_date=clock.today)
    both = new.model_copy(
        update={"organizations": {**new.organizations, **configured(configure, "acme").organizations}}
    )
    morning(database, clock, "acme")
    assert not send(configuration=new)
    assert send(configuration=both)


def test_each_code_location_has_its_own_heartbeat(
    database: Database, clock: Clock, service: Receiver, send: Send
) -> None:
    morning(database, clock)
    assert [send("one"), send("two"), send("one"), send("two")] == [True, True, False, False]
    assert len(service.received) == 2


@pytest.mark.parametrize("status", [500, 404, 301, 302, 307])
def test_failure_is_recorded_and_repeated_with_growing_pauses(
    database: Database,
    clock: Clock,
    service: Receiver,
    send: Send,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    morning(database, clock)
    service.answers = [status] * 3
    service.headers = {"Location": "https://elsewhere.example/"}
    caplog.set_level(logging.DEBUG)
    pauses = []
    for _ in range(3):
        assert not send()
        assert not send()  # not before its time
        (known,) = stored(database)
        pauses.append((known.due_at - clock.now).total_seconds())
        assert (known.delivered_at, known.last_error) == (None, f"the heartbeat service answered {status}")
        clock.now = known.due_at
    assert pauses == [30, 60, 120]
    assert send()
    (known,) = stored(database)
    assert (known.attempts, known.last_error, known.delivered_at) == (4, None, clock.now)
    assert len(service.received) == 4
    assert f"heartbeat_url could not be requested: the heartbeat service answered {status}" in caplog.messages
    assert SECRET not in caplog.text


def stored(database: Database) -> list[sensor_ticks.Heartbeat]:
    with database.connect() as connection:
        return sensor_ticks.heartbeats(connection)


def test_new_day_is_not_delayed_by_the_failures_of_the_day_before(
    database: Database, clock: Clock, service: Receiver, send: Send
) -> None:
    service.answers = [500]
    morning(database, clock)
    assert not send()
    clock.now += ONE_DAY
    morning(database, clock)
    assert send()
    (known,) = stored(database)
    assert (known.day, known.attempts) == (clock.today - ONE_DAY, 1)


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
def test_address_that_cannot_be_requested_is_an_error_without_the_address(
    database: Database, clock: Clock, send: Send, monkeypatch: pytest.MonkeyPatch, url: str, error: str
) -> None:
    monkeypatch.setenv("HEARTBEAT", url)
    morning(database, clock)
    assert not send()
    (known,) = stored(database)
    assert known.last_error == error


def test_service_that_does_not_answer_in_time_is_an_error(
    database: Database, clock: Clock, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "TIMEOUT_S", 0.3)
    morning(database, clock)
    with dripping() as slow:
        monkeypatch.setenv("HEARTBEAT", slow.url)
        assert not send()
    (known,) = stored(database)
    assert known.last_error == "the heartbeat service did not answer within 0.3 seconds"


def test_without_a_heartbeat_url_nothing_is_sent(
    database: Database, clock: Clock, service: Receiver, configuration: Configuration
) -> None:
    morning(database, clock)
    silent = configuration.model_copy(update={"heartbeat_url": None})
    assert not send_heartbeat(database, silent, "openai_costs", clock)
    assert service.received == []
