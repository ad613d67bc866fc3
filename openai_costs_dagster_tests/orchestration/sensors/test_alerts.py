"""Ticks of the sensors for alerts and late days."""

from __future__ import annotations

import dagster as dg
import pytest

from openai_costs_dagster.configuration import Alert, Configuration
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration.sensors import alerts, late_days
from openai_costs_dagster.warehouse import outbox

from ...alerts.conftest import sample_alert
from ...alerts.receiver import Receiver, receiving
from ...bench import Bench, days
from ...conftest import Clock, Configure
from ...sync_fixtures import MakeBench


@pytest.fixture
def configuration(bench: MakeBench, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    work = bench()
    hook = Alert(webhook=SecretReference(env="HOOK"), secret=SecretReference(env="HOOK_SECRET"))
    monkeypatch.setenv("HOOK_SECRET", "secret")
    return configure(work.organization, database=work.database).model_copy(update={"alerts": (hook,)})


def tick(sensor: dg.SensorDefinition) -> dg.SensorExecutionData:
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
        return sensor.evaluate_tick(context)


def record(work: Bench, key: str) -> None:
    with work.database.connect() as connection:
        outbox.record(connection, sample_alert(key), work.clock.now)


def test_tick_delivers_pending_alerts(
    bench: MakeBench, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = bench(name="beta")
    sensor = alerts.alert_sensor(configuration, running=True)
    record(work, "one")
    with receiving() as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        assert "1 messages delivered" in str(tick(sensor).skip_message)
        assert "0 messages delivered" in str(tick(sensor).skip_message)
        assert len(receiver.received) == 1


def test_tick_fails_while_a_channel_fails_and_keeps_the_alert(
    bench: MakeBench, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = bench(name="beta")
    sensor = alerts.alert_sensor(configuration, running=True)
    record(work, "one")

    def fail(receiver: Receiver) -> None:
        receiver.answers = [500]
        with pytest.raises(Exception, match="the webhook answered 500"):
            tick(sensor)

    with receiving() as receiver:
        monkeypatch.setenv("HOOK", receiver.url)
        fail(receiver)
        work.query("update openai_costs.messages set due_at = now() returning 1")
        assert "1 messages delivered" in str(tick(sensor).skip_message)
        assert len(set(receiver.keys)) == 1


def test_late_day_fails_its_check_once(
    bench: MakeBench, configure: Configure, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    work = bench()
    monkeypatch.setattr(late_days, "utc_now", clock)
    work.ingest(days(clock.today.replace(day=1), 3))
    sensor = late_days.late_days_sensor(configure(work.organization, database=work.database), running=True)
    with dg.DagsterInstance.ephemeral() as instance:
        with dg.build_sensor_context(instance=instance) as context:
            first = sensor.evaluate_tick(context)
        (event,) = first.asset_events
        assert isinstance(event, dg.AssetCheckEvaluation)
        assert (event.check_name, event.passed) == ("latest_day", False)
        with dg.build_sensor_context(instance=instance, cursor=first.cursor) as context:
            assert not sensor.evaluate_tick(context).asset_events


def test_disabled_check_has_no_results_but_late_days_alert(
    bench: MakeBench, configure: Configure, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    work = bench()
    monkeypatch.setattr(late_days, "utc_now", clock)
    work.ingest(days(clock.today.replace(day=1), 3))
    configuration = configure(work.organization, database=work.database, checks=("anomalous_spend",))
    sensor = late_days.late_days_sensor(configuration, running=True)
    with dg.DagsterInstance.ephemeral() as instance, dg.build_sensor_context(instance=instance) as context:
        assert not sensor.evaluate_tick(context).asset_events
    assert work.query("select event from openai_costs.outbox") == [("failed",)]
