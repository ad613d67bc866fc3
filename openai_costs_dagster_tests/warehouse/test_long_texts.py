"""Tests that texts of any length can be keys of findings, names, users and alerts."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import random
import string
from decimal import Decimal

import psycopg
import pytest

from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.warehouse import anomalies, directory, errors, organizations, outbox
from openai_costs_dagster.warehouse.anomalies import Finding
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.directory import Entry

from ..conftest import NOW

LATER = NOW + dt.timedelta(hours=1)


def long_text(seed: int) -> str:
    """Return a text that does not compress."""
    dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
    return "".join(dice.choice(string.ascii_letters) for _ in range(6000))


A, B = long_text(1), long_text(2)
FINDING = Finding(
    usage_date=dt.date(2026, 3, 1), series=SeriesKey("acme", project=A, model=A),
    actual=Decimal(9), expected=Decimal(1), lower=Decimal(0), upper=Decimal(2), impact=Decimal(8), score=Decimal(7),
    direction="up", severity="high", reason="level", explanation="It rose.", worth_alerting=True, line_item=A,
)  # fmt: skip


def test_finding_of_long_names_is_stored_once_and_updated(connection: Connection) -> None:
    other = dataclasses.replace(FINDING, series=SeriesKey("acme", project=A, model=B))
    for found in ([FINDING, other], [dataclasses.replace(FINDING, actual=Decimal(10)), other]):
        anomalies.replace_findings(connection, "acme", [FINDING.usage_date], found, now=NOW, trigger="schedule")
    stored = connection.execute(
        "select model, actual from openai_costs.anomaly_findings order by anomaly_id"
    ).fetchall()
    assert stored == [(A, Decimal(10)), (B, Decimal(9))]


def test_null_equals_null_and_differs_from_the_empty_name(connection: Connection) -> None:
    names = [Entry("user", "u", None, "a@example.org"), Entry("user", "u", "", "a@example.org")]
    for now in (NOW, LATER):
        directory.store_names(connection, "acme", names, now)
    found = connection.execute(
        "select name, first_seen_at, last_seen_at from openai_costs.directory_names order by name"
    )
    assert found.fetchall() == [("", NOW, LATER), (None, NOW, LATER)]


def test_text_with_backslashes_is_found_again(connection: Connection) -> None:
    for now in (NOW, LATER):
        directory.store_names(connection, "acme", [Entry("user", "\\x00\\\\", "a\\'b", None)], now)
    assert connection.execute("select count(*), max(last_seen_at) from openai_costs.directory_names").fetchall() == [
        (1, LATER)
    ]


def test_directory_has_current_and_earlier_long_names(connection: Connection) -> None:
    directory.store_entries(connection, "acme", [Entry("project", A, A)], NOW)
    directory.store_entries(connection, "acme", [Entry("project", A, B)], LATER)
    assert connection.execute("select id, name, earlier_names, status from openai_costs.directory").fetchall() == [
        (A, B, [A], "active")
    ]


def test_user_with_a_long_id_is_forgotten(connection: Connection) -> None:
    directory.store_entries(connection, "acme", [Entry("user", A, B, f"{B}@example.org")], NOW)
    assert directory.find_users(connection, f"{B}@example.org") == [A]
    for _ in range(2):
        directory.record_forgotten_user(connection, A, NOW)
    assert directory.delete_names(connection, "acme", A, []) == 1
    directory.store_names(connection, "acme", [Entry("user", A, B)], LATER)
    assert connection.execute("select count(*) from openai_costs.directory_names").fetchall() == [(0,)]


def test_alert_with_a_long_key_is_recorded_once(connection: Connection) -> None:
    alert = outbox.Alert(A, "anomaly", "opened", "high", A, A)
    assert outbox.record(connection, alert, NOW)
    assert not outbox.record(connection, alert, LATER)
    assert outbox.is_recorded(connection, A)
    assert not outbox.is_recorded(connection, B)
    assert outbox.record(connection, dataclasses.replace(alert, dedup_key=B), NOW)


def test_two_names_of_one_organization_with_a_long_id_are_refused(connection: Connection) -> None:
    for name in ("acme", "beta"):
        organizations.register(connection, name, display_name=None, start_date=None)
    organizations.bind_openai_organization(connection, "acme", A)
    with pytest.raises(errors.SharedOrganization):
        organizations.bind_openai_organization(connection, "beta", A)


def test_no_index_contains_a_text_of_the_api(connection: Connection) -> None:
    """Columns of API text are indexed by keys, because PostgreSQL refuses index entries of more than 2,704 bytes."""
    texts = {
        "openai_organization_id", "project_id", "user_id", "api_key_id", "line_item", "model", "service", "id", "name",
        "email", "owner_id", "project_name", "currency", "quantity_unit", "dedup_key", "title", "message",
    }  # fmt: skip
    found = connection.execute(
        """
        select table_class.relname::text, column_of.attname::text
        from pg_index as index
        join pg_class as table_class on table_class.oid = index.indrelid
        join pg_attribute as column_of on column_of.attrelid = index.indrelid and column_of.attnum = any(index.indkey)
        where table_class.relnamespace = 'openai_costs'::regnamespace and column_of.atttypid = 'text'::regtype
        """
    ).fetchall()
    # These columns hold at most MAX_KEY_LENGTH characters. A lease is named after a configured organization.
    bounded = {("line_items", "line_item"), ("projects", "project_id")}
    bounded.add(("leases", "name"))
    assert {(table, column) for table, column in found if column in texts} <= bounded


@pytest.mark.parametrize("text", ["", "a" * 128, "\u00e9" * 64, "\\x41", "\U0001f680" * 32])
def test_text_of_at_most_128_bytes_is_its_own_key(connection: Connection, text: str) -> None:
    assert connection.execute("select openai_costs.text_key(%s)", [text]).fetchone() == (text,)


@pytest.mark.parametrize("text", ["a" * 129, "\\" * 200, "\U0001f680" * 33, A, "\\x41" * 100], ids=len)
def test_key_of_a_longer_text_is_its_prefix_and_digest(connection: Connection, text: str) -> None:
    found = connection.execute("select openai_costs.text_key(%s)", [text]).fetchone()
    assert found == (text[:80] + hashlib.sha256(text.encode()).hexdigest(),)
    assert 128 < len(found[0].encode()) <= 384


def test_key_of_null_is_null(connection: Connection) -> None:
    assert connection.execute("select openai_costs.text_key(null)").fetchone() == (None,)
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("insert into openai_costs.forgotten_users values ('u', now()), ('u', now())")
