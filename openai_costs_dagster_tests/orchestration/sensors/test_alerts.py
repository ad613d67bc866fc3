"""Tests of ticks of the sensors that deliver alerts and find late days."""

from __future__ import annotations

import dagster as dg
import pytest

from openai_costs_dagster.configuration import Alert, Configuration
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration.runtime.instance import UI_URL_VARIABLE
from openai_costs_dagster.orchestration.sensors import alerts, late_days
from openai_costs_dagster.warehouse import outbox

from ...alerts.conftest import sample_alert
from ...alerts.receiver import Receiver, receiving
from ...conftest import Clock, Configure
from ...sync_fixtures import MakeSyncSetup
from ...sync_setup import SyncSetup, days


@pytest.fixture
def configuration(
    make_sync_setup: MakeSyncSetup, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> Configuration:
    setup = make_sync_setup()
    hook = Alert(webhook=SecretReference(env="HOOK"), secret=SecretReference(env="HOOK_SECRET"))
    monkeypatch.setenv("HOOK_SECRET", "secret")
    return configure(setup.organization, database=setup.database).model_copy(update={"alerts": (hook,)})


def tick(sensor: dg.SensorDefinition) -> dg.SensorExecutionData:
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
        return sensor.evaluate_tick(context)


def record(setup: SyncSetup, key: str) -> None:
    with setup.database.connect() as connection:
        outbox.record(connection, sample_alert(key), setup.clock.now)


def test_tick_delivers_pending_alerts(
    make_sync_setup: MakeSyncSetup, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_sync_setup(name="beta")
    sensor = alerts.alert_sensor(configuration, running=True)
    record(setup, "one")
    with receiving() as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        assert "1 messages delivered" in str(tick(sensor).skip_message)
        assert "0 messages delivered" in str(tick(sensor).skip_message)
        assert len(receiver.received) == 1


@pytest.mark.parametrize("configured", [None, "https://dagster.example"])
def test_alert_links_to_the_address_of_up_unless_dagster_url_is_configured(
    make_sync_setup: MakeSyncSetup,
    configuration: Configuration,
    monkeypatch: pytest.MonkeyPatch,
    configured: str | None,
) -> None:
    record(make_sync_setup(name="beta"), "one")
    monkeypatch.setenv(UI_URL_VARIABLE, "http://127.0.0.1:3456")  # `openai-costs up` sets this variable.
    with receiving() as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        tick(alerts.alert_sensor(configuration.model_copy(update={"dagster_url": configured}), running=True))
        (alert,) = receiver.received[0].document["alerts"]
    assert alert["url"] == f"{configured or 'http://127.0.0.1:3456'}/assets/openai/acme/costs"


def test_tick_fails_while_a_channel_fails_and_keeps_the_alert(
    make_sync_setup: MakeSyncSetup, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_sync_setup(name="beta")
    sensor = alerts.alert_sensor(configuration, running=True)
    record(setup, "one")

    def fail(receiver: Receiver) -> None:
        receiver.status_codes = [500]
        with pytest.raises(Exception, match="the webhook answered 500"):
            tick(sensor)

    with receiving() as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        fail(receiver)
        setup.query("update openai_costs.messages set due_at = now() returning 1")
        assert "1 messages delivered" in str(tick(sensor).skip_message)
        assert len(set(receiver.keys)) == 1


def test_late_day_fails_its_check_once(
    make_sync_setup: MakeSyncSetup, configure: Configure, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    setup = make_sync_setup()
    monkeypatch.setattr(late_days, "utc_now", clock)
    setup.ingest(days(clock.today.replace(day=1), 3))
    sensor = late_days.late_days_sensor(configure(setup.organization, database=setup.database), running=True)
    with dg.DagsterInstance.ephemeral() as instance:
        with dg.build_sensor_context(instance=instance) as context:
            first = sensor.evaluate_tick(context)
        (event,) = first.asset_events
        assert isinstance(event, dg.AssetCheckEvaluation)
        assert (event.check_name, event.passed) == ("latest_day", False)
        with dg.build_sensor_context(instance=instance, cursor=first.cursor) as context:
            assert not sensor.evaluate_tick(context).asset_events


def test_disabled_check_has_no_results_but_late_days_alert(
    make_sync_setup: MakeSyncSetup, configure: Configure, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    setup = make_sync_setup()
    monkeypatch.setattr(late_days, "utc_now", clock)
    setup.ingest(days(clock.today.replace(day=1), 3))
    configuration = configure(setup.organization, database=setup.database, checks=("anomalous_spend",))
    sensor = late_days.late_days_sensor(configuration, running=True)
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
        assert not sensor.evaluate_tick(context).asset_events
    assert setup.query("select event from openai_costs.outbox") == [("failed",)]
