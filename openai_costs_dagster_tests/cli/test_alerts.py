"""Tests of `alerts`, which tests channels, lists alerts and retries messages that could not be delivered."""

from __future__ import annotations

from ..alerts.receiver import receiving
from ..loaded import Loaded


def test_alert_is_delivered_or_the_failure_is_printed(loaded: Loaded) -> None:
    place = loaded.place
    config = place.configure(loaded.simulator, loaded.organizations, file="alerts.yaml")
    config.write_text(
        config.read_text()
        + "alerts:\n  - {webhook: {env: HOOK}, secret: {env: HOOK_SECRET}, name: hook}\n"
        + "  - {url: {env: MAIL}, name: mail}\n"
    )
    with receiving() as receiver:
        given = {
            "OPENAI_COSTS_CONFIG": str(config),
            "HOOK": receiver.url,
            "HOOK_SECRET": "hunter2",
            "MAIL": "nonsense-hunter2",
        }
        finished = place.run("alerts", "test", "hook", **given)
        assert (finished.code, finished.out) == (0, "hook: delivered\n")
        assert [alert["kind"] for alert in receiver.received[0].document["alerts"]] == ["test"]
        finished = place.run("alerts", "test", **given)
        assert finished.code == 1
        assert "hook: delivered" in finished.out
        assert "mail: the environment variable MAIL contains no URL that Apprise supports" in finished.out
        assert "hunter2" not in finished.output
        listed = place.run("alerts", "list", **given)
        assert "hook delivered" in listed.out
        assert "mail dropped" in listed.out
        assert place.sql("select count(*) from openai_costs.messages where state in ('waiting', 'dead')") == [(0,)]
        assert place.sql("select count(*) from openai_costs.outbox where routed_at is null and not acknowledged") == [
            (0,)
        ]
        finished = place.run("alerts", "test", "pager", **given)
        assert finished.code == 2
        assert "there is no channel 'pager'; configured: hook, mail" in finished.err
        assert place.run("alerts", "retry", **given).out == "0 messages will be sent again\n"
    place.sql("delete from openai_costs.messages returning 1")


def test_missing_alerts_setting_is_refused_with_the_remedy(loaded: Loaded) -> None:
    finished = loaded.place.run("alerts", "test")
    assert finished.code == 2
    assert "no alerts are configured" in finished.err


def test_backfill_findings_are_recorded_and_not_sent(loaded: Loaded) -> None:
    assert loaded.place.sql("select count(*) from openai_costs.outbox where not acknowledged and kind <> 'test'") == [
        (0,)
    ]
