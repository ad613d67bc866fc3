"""Names of projects, users and API keys: stored as far as the key may read them, and removed on request."""

from __future__ import annotations

import datetime as dt
import threading
import zlib
from decimal import Decimal
from typing import Any

from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.directory import WireAdminKey, read_admin_keys
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.monitoring.budgets import evaluate_budgets
from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.simulator.organization import USAGE_SCOPE
from openai_costs_dagster.sync import key_alerts
from openai_costs_dagster.sync.directory import DirectoryOutcome, sync_directory
from openai_costs_dagster.sync.onboarding import connection_settings
from openai_costs_dagster.sync.usage import UsageRequest, ingest_usage
from openai_costs_dagster.warehouse import anomalies, directory, lock, outbox
from openai_costs_dagster.warehouse.forget_user import forget_user

from ..bench import Bench, days
from ..simulator.full_organization import full_organization
from ..sync_fixtures import MakeBench

DAYS = days(dt.date(2026, 2, 4), 2)


def sync_names(work: Bench) -> DirectoryOutcome:
    return sync_directory(work.organization, work.database, now=work.clock)


def stored_names(work: Bench, kind: str) -> dict[str, str]:
    return dict(work.query("select id, name from openai_costs.directory where kind = %s", kind))


def test_names_of_projects_users_and_keys_are_stored(bench: MakeBench) -> None:
    work = bench(full_organization())
    found = sync_names(work)
    assert found.notes == []
    assert stored_names(work, "project") == {project.id: project.name for project in work.simulated.projects}
    assert set(stored_names(work, "user")) == {one.id for one in work.simulated.users}
    assert set(stored_names(work, "api_key")) == {one.id for one in work.simulated.api_keys}
    owners = dict(work.query("select id, owner_id from openai_costs.directory where kind = 'api_key'"))
    for key in work.simulated.api_keys:
        if key.user:
            assert owners[key.id] == key.user.id


def test_renamed_project_has_its_new_name_and_the_old_one_is_kept(bench: MakeBench) -> None:
    work = bench(full_organization())
    work.ingest(DAYS)
    sync_names(work)
    project = work.simulated.projects[0]
    work.simulated.rename_project(project.id, "Another name")
    work.clock.now += ONE_DAY
    sync_names(work)
    assert work.query("select name, earlier_names from openai_costs.directory where id = %s", project.id) == [
        ("Another name", [project.name])
    ]
    shown = work.query("select distinct project_name from openai_costs.daily_costs where project_id = %s", project.id)
    assert shown == [("Another name",)]


def test_deleted_user_is_marked_and_keeps_the_name(bench: MakeBench) -> None:
    work = bench(full_organization())
    sync_names(work)
    user = work.simulated.users[0]
    before = stored_names(work, "user")[user.id]
    work.simulated.delete_user(user.id)
    work.clock.now += ONE_DAY
    sync_names(work)
    assert work.query("select name, status from openai_costs.directory where id = %s", user.id) == [(before, "gone")]


def test_key_without_the_scope_is_reported_as_a_note(bench: MakeBench) -> None:
    work = bench(full_organization())
    work.simulated.scopes = frozenset({USAGE_SCOPE})
    found = sync_names(work)
    assert found.counts == {}
    assert any("api.management.read" in note for note in found.notes)
    assert not work.ingest(DAYS).failed


def test_addresses_are_not_stored_if_configured_so(bench: MakeBench) -> None:
    work = bench(full_organization(), store_emails=False)
    sync_names(work)
    assert stored_names(work, "user")
    assert work.query(
        "select count(*) from openai_costs.directory_names where email like '%%@%%' or name like '%%@%%'"
    ) == [(0,)]


def test_forgotten_user_does_not_return_with_later_responses(bench: MakeBench) -> None:
    work = bench(full_organization())
    user = work.simulated.users[0]

    def sync_all() -> None:
        work.ingest(DAYS)
        ingest_usage(UsageRequest(work.organization, work.database, DAYS, now=work.clock))
        sync_names(work)

    def traces() -> int:
        bodies = [zlib.decompress(body) for (body,) in work.query("select body from openai_costs.raw_buckets")]
        in_names = work.query("select count(*) from openai_costs.directory_names where id = %s", user.id)[0][0]
        return int(in_names) + sum(user.email.encode() in body for body in bodies)

    sync_all()
    stored = work.stored(["user_id"])
    assert traces() > 1
    with work.database.connect() as connection:
        assert directory.find_users(connection, user.email.upper()) == [user.id]
    removed = forget_user(work.database, user.id, work.clock.now, on_wait=print)
    assert removed.names > 0
    assert removed.pages > 0
    assert traces() == 0
    work.clock.now += ONE_DAY
    sync_all()
    assert traces() == 0
    assert work.stored(["user_id"]) == stored


def test_findings_and_alerts_lose_the_name_of_a_forgotten_user(bench: MakeBench) -> None:
    work = bench(full_organization())
    sync_names(work)
    user, now = work.simulated.users[0], work.clock.now
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
        with work.database.connect() as connection:
            return anomalies.findings(connection, "acme")[0].explanation

    named = text.replace(user.id, f"{user.name} ({user.id})")
    with work.database.connect() as connection:
        anomalies.replace_findings(connection, "acme", DAYS[:1], [finding], trigger="schedule", now=now, users=True)
        alert = outbox.Alert("key", "anomaly", "opened", "low", "unusual spend", named, "acme", usage_date=DAYS[0])
        outbox.record(connection, alert, now)
    assert explanation() == named
    assert work.query("select explanation from openai_costs.anomaly_findings") == [(text,)]
    forget_user(work.database, user.id, now, on_wait=print)
    assert explanation() == text
    assert work.query("select message from openai_costs.outbox where kind = 'anomaly'") == [(text,)]


def test_forgetting_a_user_waits_for_a_running_synchronization(bench: MakeBench) -> None:
    work = bench(full_organization())
    sync_names(work)
    user = work.simulated.users[0]
    messages: list[str] = []
    waiting = threading.Event()

    def on_wait(message: str) -> None:
        messages.append(message)
        waiting.set()

    forgetting = threading.Thread(target=forget_user, args=(work.database, user.id, work.clock.now, on_wait))
    with lock.organization_lock(work.database, "acme", purpose="costs", on_wait=print) as connection:
        forgetting.start()
        assert waiting.wait(timeout=30)
        entry = directory.Entry("user", user.id, user.name, user.email)
        directory.store_names(connection, "acme", [entry], work.clock.now)
    forgetting.join(timeout=30)
    assert "another process synchronizes acme" in messages[0]
    assert work.query("select count(*) from openai_costs.directory_names where id = %s", user.id) == [(0,)]


def test_key_named_after_a_forgotten_address_loses_its_name(bench: MakeBench) -> None:
    work = bench(full_organization())
    user, key = work.simulated.users[0], work.simulated.api_keys[0]
    sync_names(work)
    with work.database.connect() as connection:
        entry = directory.Entry("api_key", key.id, f"laptop of {user.email.upper()}")
        directory.store_names(connection, "acme", [entry], work.clock.now + ONE_DAY)
    assert stored_names(work, "api_key")[key.id] == entry.name
    forget_user(work.database, user.id, work.clock.now, on_wait=print)
    assert stored_names(work, "api_key")[key.id] == key.name


def test_names_of_another_organization_are_not_stored(bench: MakeBench) -> None:
    work = bench(full_organization(), organization_id="org-another")
    found = sync_names(work)
    assert found.counts == {}
    assert "org-another was expected" in found.notes[0]
    assert work.query("select count(*) from openai_costs.directory_names") == [(0,)]


def test_response_without_a_name_does_not_delete_the_stored_name(bench: MakeBench) -> None:
    work = bench(full_organization())
    sync_names(work)
    before = stored_names(work, "user")
    work.clock.now += ONE_DAY
    work.ingest(DAYS)
    assert stored_names(work, "user") == before


def test_address_is_removed_from_the_name_of_a_project(bench: MakeBench) -> None:
    work = bench(full_organization(), store_emails=False)
    project = work.simulated.projects[0]
    work.simulated.rename_project(project.id, "work of ada@example.com")
    work.ingest(DAYS)
    sync_names(work)
    assert stored_names(work, "project")[project.id] == "work of ..."
    found = work.query("select project_name from openai_costs.daily_costs where project_id = %s", project.id)
    assert set(found) == {("work of ...",)}


def test_expiring_key_alerts_once_at_two_weeks_and_once_at_three_days(bench: MakeBench) -> None:
    work = bench(full_organization())
    work.simulated.admin_key_expires = work.clock.now + 15 * ONE_DAY

    def alerts() -> list[tuple[str, str]]:
        return work.query("select event, severity from openai_costs.outbox where event = 'expires' order by alert_id")

    counts = []
    for _ in range(15):
        sync_names(work)
        counts.append(len(alerts()))
        work.clock.now += ONE_DAY
    assert alerts() == [("expires", "medium"), ("expires", "high")]
    assert counts == [0, *[1] * 11, *[2] * 3]


def test_old_key_alerts_once_at_ninety_days_unless_it_is_much_older(bench: MakeBench) -> None:
    def alerts(work: Bench) -> list[tuple[str, bool]]:
        return work.query("select severity, acknowledged from openai_costs.outbox where event = 'aged'")

    work = bench(full_organization())
    created_at = int(key_of(work)["created_at"])
    for age, expected in ((89, []), (91, [("low", False)]), (92, [("low", False)])):
        with work.database.connect() as connection:
            now = dt.datetime.fromtimestamp(created_at, dt.UTC) + age * ONE_DAY
            key_alerts.record_alerts(connection, "acme", WireAdminKey(**key_of(work)), now)
        assert alerts(work) == expected
    sync_names(work)
    work.clock.now += 400 * ONE_DAY
    with work.database.connect() as connection:
        key_alerts.record_alerts(connection, "beta", WireAdminKey(**key_of(work)), work.clock.now)
    assert alerts(work)[1:] == [("low", True)]


def key_of(work: Bench) -> dict[str, Any]:
    """Return the admin key as the directory lists it."""
    with AdminApi(connection_settings(work.organization), now=work.clock) as api:
        (key,) = read_admin_keys(api)
    return {name: getattr(key, name) for name in key.__struct_fields__}


def test_spend_limits_become_budgets_if_configured_so(bench: MakeBench) -> None:
    work = bench(full_organization(), openai_budgets=True)
    work.simulated.spend_limit_cents, work.simulated.spend_alert_cents = 1_000_050, (100_000,)
    work.ingest(DAYS)
    sync_names(work)

    def limits() -> dict[str, Decimal]:
        with work.database.connect() as connection:
            evaluate_budgets(connection, work.organization, DAYS, work.clock.now, allocated=False, alert_since=DAYS[0])
        return dict(work.query("select budget, amount_limit from openai_costs.budget_status"))

    assert limits() == {
        "OpenAI's spend limit, month": Decimal("10000.50"),
        "OpenAI's spend alert of $1,000.00, month": Decimal(1000),
    }
    work.simulated.spend_limit_cents, work.simulated.spend_alert_cents = None, ()
    sync_names(work)
    assert limits() == {}


def test_spend_limits_are_not_requested_by_default(bench: MakeBench) -> None:
    work = bench(full_organization())
    sync_names(work)
    assert not any("spend_" in request.path for request in work.simulator.requests)
