"""Tests of forgetting a user: all raw responses and messages are edited, including Dagster's, and verified."""

from __future__ import annotations

import hashlib
import zlib

import dagster as dg
import pytest
from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import JSONB

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.warehouse import directory, errors, free_texts, organizations, outbox
from openai_costs_dagster.warehouse import forget_user as warehouse_forget_user
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.forget_user import forget_user
from openai_costs_dagster.warehouse.schema import metadata

from ..conftest import NOW, Configure, OpenInstance
from ..orchestration.runtime.test_stored_history import tables_with

DEEP = (
    '{"results": [{"amount": {"value": 0.1000000000000000000000000000001}, "by": {"user": {"who": '
    '{"id": "user-ada", "name": "Ada", "email": "Ada@Example.com"}}}},'
    ' {"amount": {"value": 2.50}, "note": "laptop of ada\\u0040example.com"}]}'
)
CLEAN = (
    '{"results": [{"amount": {"value": 0.1000000000000000000000000000001}, "by": {"user": {"who": '
    '{"id": "user-ada", "name": null, "email": null}}}},'
    ' {"amount": {"value": 2.50}, "note": "laptop of ..."}]}'
)
SENTENCE = "Ada Lovelace (ada@example.com) spent $5.00."
CLOSED_WORDS = {
    *("address", "endpoint", "host", "location", "sensor"),
    *("trigger", "category", "channel", "compared_by", "counters", "currency", "dedup_key", "direction", "event"),
    *(
        "first_evaluated_run",
        "trigger",
        "grouping",
        "groups",
        "id",
        "idempotency_key",
        "key",
        "kind",
        "level",
        "line_item",
    ),
    *("method", "modality", "model", "operation", "organization", "page", "quantity_unit", "scope", "service"),
    *("severity", "source", "state", "status", "subcategory", "surface", "value", "what"),
}
"""Columns that contain only identifiers and values of fixed lists."""


def store_page(connection: Connection, organization: str, text: str) -> None:
    connection.execute(
        "insert into openai_costs.raw_buckets (organization, usage_date, source, grouping, provisional, fetched_at,"
        " digest, body) values (%s, '2026-03-01', 'costs', 'project', false, now(), %s, %s)",
        [organization, hashlib.sha256(text.encode()).digest(), zlib.compress(text.encode())],
    )


def pages(connection: Connection) -> list[str]:
    found = connection.execute("select body, digest from openai_costs.raw_buckets order by raw_id").fetchall()
    bodies = [zlib.decompress(body) for body, _ in found]
    assert [digest for _, digest in found] == [hashlib.sha256(body).digest() for body in bodies]
    return [body.decode() for body in bodies]


def fill(connection: Connection) -> None:
    """Store two organizations. Only the directory of the first one contains the user's address."""
    for name in ("acme", "beta"):
        organizations.register(connection, name, display_name=None, start_date=None)
    entry = directory.Entry("user", "user-ada", "Ada Lovelace", "ada@example.com")
    directory.store_entries(connection, "acme", [entry], NOW)
    other = directory.Entry("user", "user-lin", "Lin", "lin@example.com")
    directory.store_entries(connection, "acme", [other], NOW)
    outbox.record(connection, outbox.Alert("one", "anomaly", "opened", "high", "A title", SENTENCE, "acme"), NOW)
    organizations.record_failure(connection, "beta", f"refused: {SENTENCE}", NOW, permanent=True)


def test_user_is_deleted_from_raw_rows_messages_and_dagster_events(
    database: Database, configure: Configure, open_instance: OpenInstance
) -> None:
    acme = Organization(name="acme", admin_key=SecretReference(env="ACME_KEY"))
    instance = open_instance(configure(acme, database=database), database)
    job = dg.Definitions(assets=[dg.asset(key=asset_keys.costs_key(acme))(lambda: None)])
    run = instance.create_run_for_job(job.resolve_implicit_global_asset_job_def())
    instance.report_engine_event(SENTENCE, run)
    with database.connect() as connection:
        fill(connection)
        for name in ("acme", "beta"):
            store_page(connection, name, DEEP)
        gone = forget_user(database, "user-ada", NOW, on_wait=print)
        assert pages(connection) == [CLEAN, CLEAN]
        assert connection.execute("select message from openai_costs.outbox").fetchone() == ("... (...) spent $5.00.",)
    assert (gone.names, gone.pages) == (1, 2)
    assert gone.texts >= 3
    assert "... (...) spent $5.00." in [entry.message for entry in instance.all_logs(run.run_id)]
    assert tables_with(database, "ada@example.com") == tables_with(database, "Ada Lovelace") == set()
    assert tables_with(database, "lin@example.com") == {"directory_names"}


def test_address_found_in_one_organization_is_deleted_in_all(connection: Connection, database: Database) -> None:
    fill(connection)
    store_page(connection, "acme", '{"results": [{"note": "from ada@home.example"}]}')
    store_page(connection, "beta", '{"results": [{"user_id": "user-ada", "user_email": "ada@home.example"}]}')
    forget_user(database, "user-ada", NOW, on_wait=print)
    assert "home.example" not in "".join(pages(connection))


def test_remaining_name_is_reported_with_its_column(
    connection: Connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(connection)
    store_page(connection, "acme", DEEP)
    monkeypatch.setattr(directory, "edit_buckets", lambda *_: 0)
    monkeypatch.setattr(free_texts, "edit", lambda *_: 0)
    with pytest.raises(errors.NotForgotten, match=r"user-ada is still stored in 1 raw responses, .*outbox\.message"):
        forget_user(database, "user-ada", NOW, on_wait=print)


def test_every_text_column_is_classified_as_free_text_or_identifier() -> None:
    texts = {
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, Text | JSONB) and not column.name.endswith("_id")
    }
    names_of_people = {("directory_names", "name"), ("directory_names", "email")}
    words = {(table, column) for table, column in texts if column in CLOSED_WORDS}
    assert set(free_texts.COLUMNS) <= texts
    left = texts - set(free_texts.COLUMNS) - names_of_people - words
    about_processes = {("leases", "name"), ("leases", "owner"), ("leases", "process"), ("locks", "purpose")}
    assert left == about_processes | {
        ("anomaly_findings", "reason"),
        ("budget_states", "budget"),
        ("open_failures", "reason"),
    }
    assert warehouse_forget_user._MOST_PASSES > 1
