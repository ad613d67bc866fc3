"""Tests of texts of the API: stored unchanged at any length, with NUL and half surrogate pairs replaced by U+FFFD."""

from __future__ import annotations

import datetime as dt
import json
import random
import string
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from openai_costs_dagster.sync.allocation import allocate_days
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.errors import DatabaseRefused

from ..conftest import Clock
from ..row_server import Refusal, Row, RowServer
from ..served_organization import DAYS, Serve

LABEL = "gpt-5-mini-2025-08-07, output"

HALVES = {
    "the first half of a pair": ("Launch \ud83d", "Launch \ufffd"),
    "the second half of a pair": ("\ude80 launch", "\ufffd launch"),
    "the halves in the wrong order": ("a\ude80\ud83db", "a\ufffd\ufffdb"),
    "a half before a pair": ("\ud83d\ud83d\ude80", "\ufffd\U0001f680"),
    "NUL": ("a\0b\0", "a\ufffdb\ufffd"),
    "a pair": ("\ud83d\ude80", "\U0001f680"),
    "a text that spells an escape": (r"\ud83d and \u0000", r"\ud83d and \u0000"),
    "a backslash before a half": ("\\\ud83d", "\\\ufffd"),
}


def long_text(length: int = 6000, seed: int = 1) -> str:
    """Return a text that does not compress and is therefore too long for an index entry of PostgreSQL."""
    letters = string.ascii_letters + string.digits
    generator = random.Random(seed)  # noqa: S311  # repeatable, not secret
    return "".join(generator.choice(letters) for _ in range(length))


def cost_row(**fields: Any) -> Row:
    return {"project_id": "proj_a", "api_key_id": "key_a", "user_id": "user-a", "currency": "usd",
            "line_item": LABEL, "amount": "1.50", "quantity": 1000, "quantity_unit": "tokens", **fields}  # fmt: skip


def usage_row(**fields: Any) -> Row:
    return {"project_id": "proj_a", "api_key_id": "key_a", "user_id": "user-a", "model": "gpt-5-mini-2025-08-07",
            "batch": False, "service_tier": "default", "input_tokens": 10, "output_tokens": 5,
            "num_model_requests": 1, **fields}  # fmt: skip


_COST_TEXTS = ("project_id", "user_id", "api_key_id", "line_item", "quantity_unit")
_USAGE_TEXTS = ("project_id", "user_id", "api_key_id", "model", "service_tier")


def only_completions(**texts: str) -> Callable[[str, dt.date], list[Row]]:
    """Return the usage of one row per day, of the endpoint for completions."""
    return lambda operation, _: [usage_row(**texts)] if operation == "completions" else []


@pytest.mark.parametrize("name", HALVES)
def test_surrogate_half_in_a_cost_row_is_stored_as_replacement_character(serve: Serve, name: str) -> None:
    sent, stored = HALVES[name]
    work = serve(RowServer(rows=lambda _: [cost_row(**dict.fromkeys(_COST_TEXTS, sent))]))
    assert not work.ingest().failed
    found = work.query(f"select distinct {', '.join(_COST_TEXTS)}, amount from openai_costs.daily_costs")  # noqa: S608  # names from the test
    assert found == [(*[stored] * 5, Decimal("1.5"))]


@pytest.mark.parametrize("name", HALVES)
def test_surrogate_half_in_an_undocumented_field_is_stored_as_replacement_character(serve: Serve, name: str) -> None:
    sent, stored = HALVES[name]
    more = {"project_name": sent, "user_email": f"{sent}@example.org", "a new field": sent, sent: 1}
    work = serve(RowServer(rows=lambda _: [cost_row()], result=lambda _, row: {**row, **more}))
    assert not work.ingest().failed
    assert work.query("select distinct project_name from openai_costs.daily_costs") == [(stored,)]
    assert (f"{stored}@example.org",) in work.query(
        "select email from openai_costs.directory_names where kind = 'user'"
    )
    for (body,) in work.query("select body from openai_costs.raw_buckets"):
        text = zlib.decompress(body).decode()
        with work.database.connect() as connection:
            stored_value = connection.execute("select %s::jsonb -> 'results' -> 0 ->> 'a new field'", [text]).fetchone()
        assert stored_value == (stored,)


@pytest.mark.parametrize("name", HALVES)
def test_surrogate_half_in_a_usage_row_is_stored_as_replacement_character(serve: Serve, name: str) -> None:
    sent, stored = HALVES[name]
    work = serve(RowServer(usage=only_completions(**dict.fromkeys(_USAGE_TEXTS, sent))))
    assert not work.ingest_usage().failed
    found = work.query(f"select distinct {', '.join(_USAGE_TEXTS)}, input_tokens from openai_costs.daily_usage")  # noqa: S608  # names from the test
    assert found == [(*[stored] * 5, Decimal(10))]


@pytest.mark.parametrize("name", HALVES)
def test_surrogate_half_in_the_directory_is_stored_as_replacement_character(serve: Serve, name: str) -> None:
    sent, stored = HALVES[name]
    work = serve(
        RowServer(
            projects=[{"id": "proj_a", "name": sent, "status": sent}],
            users=[{"id": f"user-{sent}", "name": sent, "email": f"{sent}@example.org"}],
            api_keys=[{"id": f"key_{sent}", "name": sent, "project_id": "proj_a", "owner": {"user": {"id": sent}}}],
        )
    )
    assert work.sync_directory().notes == []
    assert work.query("select kind, id, name, email from openai_costs.directory_names order by kind") == [
        ("api_key", f"key_{stored}", stored, None),
        ("project", "proj_a", stored, None),
        ("user", f"user-{stored}", stored, f"{stored}@example.org"),
    ]


def test_rows_whose_keys_become_equal_are_merged(serve: Serve) -> None:
    def usage(operation: str, _: dt.date) -> list[Row]:
        return (
            [usage_row(model=f"m{half}") for half in ("\ud83d", "\ude80", "\0")] if operation == "completions" else []
        )

    work = serve(
        RowServer(rows=lambda _: [cost_row(line_item=f"x{half}") for half in ("\ud83d", "\ude80", "\0")], usage=usage)
    )
    assert not work.ingest().failed
    assert not work.ingest_usage().failed
    assert work.query("select line_item, amount, quantity from openai_costs.daily_costs") == [
        ("x\ufffd", Decimal("4.5"), Decimal(3000)),
        ("x\ufffd", Decimal("4.5"), Decimal(3000)),
    ]
    assert work.query("select distinct model, input_tokens from openai_costs.daily_usage") == [("m\ufffd", Decimal(30))]


def test_directory_entries_whose_ids_become_equal_are_merged(serve: Serve) -> None:
    users = [{"id": "u\ud83d", "name": "first"}, {"id": "u\0", "name": "second"}]
    work = serve(RowServer(users=users))
    assert work.sync_directory().notes == []
    assert work.query("select id from openai_costs.directory_entries where kind = 'user'") == [("u\ufffd",)]


@pytest.mark.parametrize("sent", [b"a\xffb", b"a\xed\xa0\xbdb", b"a\xc3"], ids=["a byte", "half a pair", "cut"])
def test_bytes_that_are_not_utf_8_are_stored_as_replacement_character(serve: Serve, sent: bytes) -> None:
    def page(_: str, page: dict[str, Any]) -> bytes:
        return json.dumps(page).encode().replace(b"SENT", sent)

    work = serve(
        RowServer(
            rows=lambda _: [cost_row(line_item="SENT")],
            usage=only_completions(model="SENT"),
            page=page,
        )
    )
    assert not work.ingest().failed
    assert not work.ingest_usage().failed
    assert {label for (label,) in work.query("select line_item from openai_costs.daily_costs")} <= {
        "a\ufffdb",
        "a\ufffd",
    }
    assert {label for (label,) in work.query("select model from openai_costs.daily_usage")} <= {"a\ufffdb", "a\ufffd"}


def test_long_text_in_a_cost_row_is_stored_unchanged(serve: Serve) -> None:
    texts = {name: long_text(seed=number) for number, name in enumerate((*_COST_TEXTS, "currency"))}
    work = serve(RowServer(rows=lambda _: [cost_row(), cost_row(amount="0.50", **texts)]))
    # The second run must find and update the rows of the first run.
    for _ in range(2):
        assert not work.ingest().failed
    found = work.query(f"select distinct {', '.join(texts)}, amount from openai_costs.daily_costs where amount < 1")  # noqa: S608  # names from the test
    assert found == [(*(texts | {"currency": texts["currency"].lower()}).values(), Decimal("0.5"))]


def test_long_names_addresses_and_organization_ids_are_stored_unchanged(serve: Serve) -> None:
    long = long_text()
    more = {"project_name": long, "user_email": f"{long}@example.org", "organization_id": long}
    work = serve(RowServer(rows=lambda _: [cost_row()], result=lambda _, row: {**row, **more}))
    assert not work.ingest().failed
    assert not work.ingest().failed
    assert work.query("select distinct project_name from openai_costs.daily_costs") == [(long,)]
    assert work.query("select email from openai_costs.directory_names where kind = 'user'") == [
        (f"{long}@example.org",)
    ]
    assert work.query("select openai_organization_id from openai_costs.organizations") == [(long,)]


def test_long_text_in_a_usage_row_is_stored_unchanged(serve: Serve) -> None:
    texts = {name: long_text(seed=number) for number, name in enumerate(_USAGE_TEXTS)}
    work = serve(RowServer(usage=only_completions(**texts)))
    for _ in range(2):
        assert not work.ingest_usage().failed
    assert work.query(f"select distinct {', '.join(texts)} from openai_costs.daily_usage") == [(*texts.values(),)]  # noqa: S608  # names from the test


def test_long_text_in_the_directory_is_stored_unchanged(serve: Serve) -> None:
    long = long_text()
    work = serve(
        RowServer(
            projects=[{"id": f"proj_{long}", "name": long, "status": "archived"}, {"id": "proj_a", "name": "a"}],
            users=[{"id": long, "name": long, "email": f"{long}@example.org"}],
            api_keys=[{"id": long, "name": long, "project_id": "proj_a", "owner": {"user": {"id": long}}}],
        )
    )
    for _ in range(2):
        assert work.sync_directory().notes == []
    assert work.query("select kind, id, name, email from openai_costs.directory_names order by kind, length(id)") == [
        ("api_key", long, long, None),
        ("project", "proj_a", "a", None),
        ("project", f"proj_{long}", long, None),
        ("user", long, long, f"{long}@example.org"),
    ]


def test_error_message_with_a_surrogate_half_stays_readable(serve: Serve) -> None:
    work = serve(RowServer(respond=lambda _path, _query: Refusal(401, "no \ud83d\0", code="invalid_api_key")))
    outcome = work.ingest()
    assert {failure.kind for failure in outcome.failed.values()} == {"AuthenticationFailed"}
    assert "no \ufffd\ufffd" in outcome.message
    assert work.query("select last_error like '%\ufffd%' from openai_costs.organizations") == [(True,)]


def test_costs_with_long_texts_are_allocated(serve: Serve, clock: Clock) -> None:
    long, label = long_text(), long_text(seed=2)
    rows = [
        cost_row(user_id=None, project_id=long, quantity=5),
        cost_row(user_id=None, project_id=long, line_item=label),
    ]
    usage = only_completions(user_id=f"u{long}", project_id=long)
    work = serve(RowServer(rows=lambda _: rows, usage=usage))
    assert not work.ingest().failed
    assert not work.ingest_usage().failed
    with work.database.connect() as connection:
        allocate_days(connection, work.organization.name, DAYS, clock())
    assert work.query(
        "select distinct user_id, line_item, amount, method, service from openai_costs.allocated_costs order by method"
    ) == [
        (None, label, Decimal("1.5"), "unallocated", label),
        (f"u{long}", LABEL, Decimal("1.5"), "usage", "Chat completions"),
    ]


def test_long_line_item_is_its_own_service_and_category(serve: Serve) -> None:
    label = long_text()
    work = serve(RowServer(rows=lambda _: [cost_row(line_item=label)]))
    assert not work.ingest().failed
    assert work.query("select distinct service, category, model from openai_costs.daily_costs") == [
        (label, label, None)
    ]
    series = 'select distinct "ServiceName", "ChargeDescription", "BilledCost" from openai_costs.focus'
    assert work.query(series) == [(label, label, Decimal("1.5"))]


def test_value_too_large_for_a_column_is_a_permanent_failure(database: Database) -> None:
    def insert(text: str) -> None:
        with database.connect() as connection:
            connection.execute("create temporary table t (a text primary key)")
            connection.execute("insert into t values (%s)", [text])

    with pytest.raises(DatabaseRefused, match="index row"):
        insert(long_text())
