"""Tests of the directory sync: names of projects, users and API keys are stored, and deleted on request."""

from __future__ import annotations

import datetime as dt
import threading
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.directory import WireAdminKey, read_admin_keys
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.monitoring.budgets import evaluate_budgets
from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.simulator.organization import USAGE_SCOPE
from openai_costs_dagster.sync import key_alerts
from openai_costs_dagster.sync.directory import DirectoryOutcome, sync_directory
from openai_costs_dagster.sync.key_rotation import rotation_steps
from openai_costs_dagster.sync.onboarding import connection_settings
from openai_costs_dagster.sync.usage import UsageRequest, ingest_usage
from openai_costs_dagster.warehouse import anomalies, directory, lock, outbox
from openai_costs_dagster.warehouse.forget_user import forget_user

from ..simulator.full_organization import full_organization
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days

DAYS = days(dt.date(2026, 2, 4), 2)


def sync_names(setup: SyncSetup) -> DirectoryOutcome:
    return sync_directory(setup.organization, setup.database, now=setup.clock)


def stored_names(setup: SyncSetup, kind: str) -> dict[str, str]:
    return dict(setup.query("select id, name from openai_costs.directory where kind = %s", kind))


def test_names_of_projects_users_and_keys_are_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    found = sync_names(setup)
    assert found.notes == []
    assert stored_names(setup, "project") == {project.id: project.name for project in setup.simulated.projects}
    assert set(stored_names(setup, "user")) == {user.id for user in setup.simulated.users}
    assert set(stored_names(setup, "api_key")) == {key.id for key in setup.simulated.api_keys}
    owners = dict(setup.query("select id, owner_id from openai_costs.directory where kind = 'api_key'"))
    for key in setup.simulated.api_keys:
        if key.user:
            assert owners[key.id] == key.user.id


def test_renamed_project_has_its_new_name_and_the_old_one_is_kept(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    setup.ingest(DAYS)
    sync_names(setup)
    project = setup.simulated.projects[0]
    setup.simulated.rename_project(project.id, "Another name")
    setup.clock.now += ONE_DAY
    sync_names(setup)
    assert setup.query("select name, earlier_names from openai_costs.directory where id = %s", project.id) == [
        ("Another name", [project.name])
    ]
    shown = setup.query("select distinct project_name from openai_costs.daily_costs where project_id = %s", project.id)
    assert shown == [("Another name",)]


def test_deleted_user_is_marked_and_keeps_the_name(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    sync_names(setup)
    user = setup.simulated.users[0]
    before = stored_names(setup, "user")[user.id]
    setup.simulated.delete_user(user.id)
    setup.clock.now += ONE_DAY
    sync_names(setup)
    assert setup.query("select name, status from openai_costs.directory where id = %s", user.id) == [(before, "gone")]


def test_missing_scope_for_the_directory_is_reported_as_a_note(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    setup.simulated.scopes = frozenset({USAGE_SCOPE})
    found = sync_names(setup)
    assert found.counts == {}
    assert any("api.management.read" in note for note in found.notes)
    assert not setup.ingest(DAYS).failed


def test_addresses_are_not_stored_if_configured_so(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization(), store_emails=False)
    sync_names(setup)
    assert stored_names(setup, "user")
    assert setup.query(
        "select count(*) from openai_costs.directory_names where email like '%%@%%' or name like '%%@%%'"
    ) == [(0,)]


def test_forgotten_user_does_not_return_with_later_responses(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    user = setup.simulated.users[0]

    def sync_all() -> None:
        setup.ingest(DAYS)
        ingest_usage(UsageRequest(setup.organization, setup.database, DAYS, now=setup.clock))
        sync_names(setup)

    def traces() -> int:
        bodies = [zlib.decompress(body) for (body,) in setup.query("select body from openai_costs.raw_buckets")]
        in_names = setup.query("select count(*) from openai_costs.directory_names where id = %s", user.id)[0][0]
        return int(in_names) + sum(user.email.encode() in body for body in bodies)

    sync_all()
    stored = setup.stored(["user_id"])
    assert traces() > 1
    with setup.database.connect() as connection:
        assert directory.find_users(connection, user.email.upper()) == [user.id]
    removed = forget_user(setup.database, user.id, setup.clock.now, on_wait=print)
    assert removed.names > 0
    assert removed.pages > 0
    assert traces() == 0
    setup.clock.now += ONE_DAY
    sync_all()
    assert traces() == 0
    assert setup.stored(["user_id"]) == stored


def test_findings_and_alerts_lose_the_name_of_a_forgotten_user(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    sync_names(setup)
    user, now = setup.simulated.users[0], setup.clock.now
    text = f"Up $9.00 on {user.id}. It cost $12.00"
    finding = anomalies.Finding(
        usage_date=DAYS[0],
        series=SeriesKey("acme", user=user.id),
        actual=Decimal(12),
        expected=Decimal(3),
        lower=Decimal(0),
        upper=Decimal(8),
        impact=Decimal(9),
        score=Decimal(4),
        direction="up",
        severity="low",
        reason="above",
        explanation=text,
        worth_alerting=True,
    )

    def explanation() -> str:
        with setup.database.connect() as connection:
            return anomalies.findings(connection, "acme")[0].explanation

    named = text.replace(user.id, f"{user.name} ({user.id})")
    with setup.database.connect() as connection:
        anomalies.replace_findings(connection, "acme", DAYS[:1], [finding], trigger="schedule", now=now, users=True)
        alert = outbox.Alert("key", "anomaly", "opened", "low", "unusual spend", named, "acme", usage_date=DAYS[0])
        outbox.record(connection, alert, now)
    assert explanation() == named
    assert setup.query("select explanation from openai_costs.anomaly_findings") == [(text,)]
    forget_user(setup.database, user.id, now, on_wait=print)
    assert explanation() == text
    assert setup.query("select message from openai_costs.outbox where kind = 'anomaly'") == [(text,)]


def test_forgetting_a_user_waits_for_a_running_synchronization(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    sync_names(setup)
    user = setup.simulated.users[0]
    messages: list[str] = []
    waiting = threading.Event()

    def on_wait(message: str) -> None:
        messages.append(message)
        waiting.set()

    forgetting = threading.Thread(target=forget_user, args=(setup.database, user.id, setup.clock.now, on_wait))
    with lock.organization_lock(setup.database, "acme", purpose="costs", on_wait=print) as connection:
        forgetting.start()
        assert waiting.wait(timeout=30)
        entry = directory.Entry("user", user.id, user.name, user.email)
        directory.store_names(connection, "acme", [entry], setup.clock.now)
    forgetting.join(timeout=30)
    assert "another process synchronizes acme" in messages[0]
    assert setup.query("select count(*) from openai_costs.directory_names where id = %s", user.id) == [(0,)]


def test_key_named_after_a_forgotten_address_loses_its_name(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    user, key = setup.simulated.users[0], setup.simulated.api_keys[0]
    sync_names(setup)
    with setup.database.connect() as connection:
        entry = directory.Entry("api_key", key.id, f"laptop of {user.email.upper()}")
        directory.store_names(connection, "acme", [entry], setup.clock.now + ONE_DAY)
    assert stored_names(setup, "api_key")[key.id] == entry.name
    forget_user(setup.database, user.id, setup.clock.now, on_wait=print)
    assert stored_names(setup, "api_key")[key.id] == key.name


def test_names_of_another_organization_are_not_stored(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization(), organization_id="org-another")
    found = sync_names(setup)
    assert found.counts == {}
    assert "org-another was expected" in found.notes[0]
    assert setup.query("select count(*) from openai_costs.directory_names") == [(0,)]


def test_response_without_a_name_does_not_delete_the_stored_name(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    sync_names(setup)
    before = stored_names(setup, "user")
    setup.clock.now += ONE_DAY
    setup.ingest(DAYS)
    assert stored_names(setup, "user") == before


def test_address_is_removed_from_the_name_of_a_project(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization(), store_emails=False)
    project = setup.simulated.projects[0]
    setup.simulated.rename_project(project.id, "work of ada@example.com")
    setup.ingest(DAYS)
    sync_names(setup)
    assert stored_names(setup, "project")[project.id] == "work of ..."
    found = setup.query("select project_name from openai_costs.daily_costs where project_id = %s", project.id)
    assert set(found) == {("work of ...",)}


def test_expiring_key_alerts_once_at_two_weeks_and_once_at_three_days(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    setup.simulated.admin_key_expires = setup.clock.now + 15 * ONE_DAY

    def alerts() -> list[tuple[str, str]]:
        return setup.query("select event, severity from openai_costs.outbox where event = 'expires' order by alert_id")

    counts = []
    for _ in range(15):
        sync_names(setup)
        counts.append(len(alerts()))
        setup.clock.now += ONE_DAY
    assert alerts() == [("expires", "medium"), ("expires", "high")]
    assert counts == [0, *[1] * 11, *[2] * 3]
    messages = [message for (message,) in setup.query("select message from openai_costs.outbox")]
    assert all(message.endswith(rotation_steps(setup.organization)) for message in messages)


def test_rotation_steps_name_the_variable_or_the_file_of_the_key(make_sync_setup: MakeSyncSetup) -> None:
    organization = make_sync_setup(full_organization()).organization
    from_variable = organization.model_copy(update={"admin_key": SecretReference(env="ACME_KEY")})
    from_file = organization.model_copy(update={"admin_key": SecretReference(file=Path("/run/secrets/acme"))})
    assert "set the environment variable ACME_KEY to it and restart openai-costs up" in rotation_steps(from_variable)
    assert "write it to the file /run/secrets/acme, which needs no restart" in rotation_steps(from_file)


def test_old_key_alerts_once_at_ninety_days_unless_it_is_much_older(make_sync_setup: MakeSyncSetup) -> None:
    def alerts(setup: SyncSetup) -> list[tuple[str, bool]]:
        return setup.query("select severity, acknowledged from openai_costs.outbox where event = 'aged'")

    setup = make_sync_setup(full_organization())
    created_at = int(key_of(setup)["created_at"])
    for age, expected in ((89, []), (91, [("low", False)]), (92, [("low", False)])):
        with setup.database.connect() as connection:
            now = dt.datetime.fromtimestamp(created_at, dt.UTC) + age * ONE_DAY
            key_alerts.record_alerts(connection, setup.organization, WireAdminKey(**key_of(setup)), now)
        assert alerts(setup) == expected
    sync_names(setup)
    setup.clock.now += 400 * ONE_DAY
    with setup.database.connect() as connection:
        another = setup.organization.model_copy(update={"name": "beta"})
        key_alerts.record_alerts(connection, another, WireAdminKey(**key_of(setup)), setup.clock.now)
    assert alerts(setup)[1:] == [("low", True)]


def key_of(setup: SyncSetup) -> dict[str, Any]:
    """Return the admin key as the directory lists it."""
    with AdminApi(connection_settings(setup.organization), now=setup.clock) as api:
        (key,) = read_admin_keys(api)
    return {name: getattr(key, name) for name in key.__struct_fields__}


def test_spend_limits_become_budgets_if_configured_so(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization(), openai_budgets=True)
    setup.simulated.spend_limit_cents, setup.simulated.spend_alert_cents = 1_000_050, (100_000,)
    setup.ingest(DAYS)
    sync_names(setup)

    def limits() -> dict[str, Decimal]:
        with setup.database.connect() as connection:
            evaluate_budgets(
                connection, setup.organization, DAYS, setup.clock.now, allocated=False, alert_since=DAYS[0]
            )
        return dict(setup.query("select budget, amount_limit from openai_costs.budget_status"))

    assert limits() == {
        "OpenAI's spend limit, month": Decimal("10000.50"),
        "OpenAI's spend alert of $1,000.00, month": Decimal(1000),
    }
    setup.simulated.spend_limit_cents, setup.simulated.spend_alert_cents = None, ()
    sync_names(setup)
    assert limits() == {}


def test_spend_limits_are_not_requested_by_default(make_sync_setup: MakeSyncSetup) -> None:
    setup = make_sync_setup(full_organization())
    sync_names(setup)
    assert not any("spend_" in request.path for request in setup.simulator.requests)
