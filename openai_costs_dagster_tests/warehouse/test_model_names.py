"""Tests that the alias and the snapshot of a model are matched, and two billed snapshots are not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

import pytest
from psycopg import sql

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.spend.allocation.model_names import SNAPSHOT
from openai_costs_dagster.spend.line_items import RULES_VERSION, classify
from openai_costs_dagster.sync.allocation import allocate_days
from openai_costs_dagster.usage_records import OPERATIONS, UsageRow
from openai_costs_dagster.warehouse import allocations, line_items, statements, usage
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.usage import UsageDay, UsageWindow

from ..conftest import NOW
from .windows import DAY, row, store

NEXT_DAY = DAY + dt.timedelta(days=1)
(COMPLETIONS,) = (operation for operation in OPERATIONS if operation.name == "completions")


def bill(connection: Connection, models: Iterable[str], day: dt.date = DAY) -> None:
    labels = [f"{model}, output" for model in models]
    line_items.classify_new(connection, labels, classify, RULES_VERSION)
    store(connection, {day: [row("8", label, quantity=Decimal(8), quantity_unit="tokens") for label in labels]})


def count(connection: Connection, models: Iterable[str], day: dt.date = DAY) -> None:
    rows = [
        UsageRow(
            "proj_a", f"user-{model}", "key_a", model, {}, {"output_tokens": Decimal(8), "input_tokens": Decimal(0)}
        )
        for model in models
    ]
    reading = UsageWindow("acme", COMPLETIONS, DayRange(day, day), COMPLETIONS.groups, NOW, frozenset())
    usage.store(connection, reading, [UsageDay(day, rows, b"{}")])


NAMES: dict[str, tuple[list[str], list[str], dict[str, str]]] = {
    "the bill names the snapshot": (
        ["gpt-image-2-2026-04-21"],
        ["gpt-image-2"],
        {"gpt-image-2": "gpt-image-2-2026-04-21"},
    ),
    "the bill names the alias": (
        ["gpt-image-2"],
        ["gpt-image-2-2026-04-21"],
        {"gpt-image-2-2026-04-21": "gpt-image-2"},
    ),
    "short dates": (["gpt-4"], ["gpt-4-0613"], {"gpt-4-0613": "gpt-4"}),
    "versions": (
        ["text-embedding-ada-002"],
        ["text-embedding-ada-002-v2"],
        {"text-embedding-ada-002-v2": "text-embedding-ada-002"},
    ),
    "both names on both sides": (["gpt-6", "gpt-6-2026-04-21"], ["gpt-6", "gpt-6-2026-04-21"], {}),
    "two snapshots billed, the alias counted": (["gpt-6-2026-04-21", "gpt-6-2026-06-01"], ["gpt-6"], {}),
    "two snapshots billed, one counted by name": (
        ["gpt-6-2026-04-21", "gpt-6-2026-06-01"],
        ["gpt-6", "gpt-6-2026-04-21"],
        {"gpt-6": "gpt-6-2026-06-01"},
    ),
    "alias and snapshot counted, the snapshot billed": (
        ["gpt-6-2026-04-21"],
        ["gpt-6", "gpt-6-2026-04-21"],
        {"gpt-6": "gpt-6-2026-04-21"},
    ),
    "two snapshots counted, the alias billed": (
        ["gpt-6"],
        ["gpt-6-2026-04-21", "gpt-6-2026-06-01"],
        {"gpt-6-2026-04-21": "gpt-6", "gpt-6-2026-06-01": "gpt-6"},
    ),
    "another snapshot is billed": (["gpt-6-2026-04-21"], ["gpt-6-2026-06-01"], {}),
    "another model": (["gpt-5-mini"], ["gpt-5"], {}),
    "a fine-tuned model": (
        ["ft-gpt-4o-2024-08-06"],
        ["ft:gpt-4o-2024-08-06:acme::abc"],
        {"ft:gpt-4o-2024-08-06:acme::abc": "ft-gpt-4o-2024-08-06"},
    ),
    "whisper": (["whisper"], ["whisper-1"], {"whisper-1": "whisper"}),
    "whisper-1 on both sides, which the bill's grammar calls whisper": (
        ["whisper-1"],
        ["whisper-1"],
        {"whisper-1": "whisper"},
    ),
}


@pytest.mark.parametrize(("billed", "counted", "expected"), NAMES.values(), ids=NAMES)
def test_names_of_one_model_are_matched(
    connection: Connection, billed: list[str], counted: list[str], expected: dict[str, str]
) -> None:
    bill(connection, billed)
    count(connection, counted)
    assert allocations.model_names(connection, "acme", [DAY]).get(DAY, {}) == expected


def test_alias_follows_the_snapshot_that_is_billed_on_the_day(connection: Connection) -> None:
    for day, snapshot in ((DAY, "gpt-5-2026-04-21"), (NEXT_DAY, "gpt-5-2026-06-01")):
        bill(connection, [snapshot], day)
        count(connection, ["gpt-5"], day)
    assert allocations.model_names(connection, "acme", [DAY, NEXT_DAY]) == {
        DAY: {"gpt-5": "gpt-5-2026-04-21"},
        NEXT_DAY: {"gpt-5": "gpt-5-2026-06-01"},
    }


@pytest.mark.parametrize(
    ("billed", "counted"),
    [("gpt-image-2-2026-04-21", "gpt-image-2"), ("gpt-image-2", "gpt-image-2-2026-04-21")],
)
def test_model_under_two_names_has_its_shares_and_unit_costs(connection: Connection, billed: str, counted: str) -> None:
    bill(connection, [billed])
    count(connection, [counted])
    outcome = allocate_days(connection, "acme", [DAY], NOW)
    assert outcome.days[DAY].differences == []
    assert outcome.days[DAY].to_users_usd == 8
    query = sql.SQL("select model, tokens, cost_per_1k_tokens from openai_costs.unit_costs")
    assert connection.execute(query).fetchall() == [(billed, 8, 1000)]


def test_view_and_price_changes_have_the_same_snapshot_pattern() -> None:
    (view,) = (text for text in statements.views() if "view openai_costs.model_names" in text)
    assert f"'{SNAPSHOT}'" in view
