"""Tests of migration 0008, which normalizes currency codes and merges rows without changing a sum."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from openai_costs_dagster.warehouse.database import _SCRIPTS, Connection, Database

from ..conftest import NOW
from .windows import row, store

MIXED, PLAIN = dt.date(2026, 3, 2), dt.date(2026, 3, 3)
LONG = Decimal("0.1234567890123456789012345678901234")


def move(database: Database, direction: Any, revision: str) -> None:
    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database.url))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS))
        config.attributes["connection"] = connection
        direction(config, revision)
    engine.dispose()


def before() -> str:
    """The schema revision before the migration."""
    revision = ScriptDirectory(str(_SCRIPTS)).get_revision("0008").down_revision
    assert isinstance(revision, str)
    return revision


@pytest.fixture
def migrated(database: Database) -> Database:
    """A database with the currency codes of an earlier release, upgraded to the current schema."""
    with database.connect() as connection:
        usd: dict[str, Any] = {"currency": "USD"}
        quantity: dict[str, Any] = {"quantity": Decimal(2), "quantity_unit": "tokens"}
        mixed = [
            row(LONG, "a", **usd, **quantity),
            row("0.5", "a", quantity_unit="tokens"),
            row("0.5", "b", **usd),
            row("7", "c", currency=" Jpy"),
            row("3", "c", currency=""),
            row(None, "d", **usd),
        ]
        store(connection, {MIXED: mixed, PLAIN: [row("1.5", "a")]})
        insert_shares(connection)
        insert_revisions(connection)
    # Rows are inserted before the last migration, because this release stores rows under the current table names.
    move(database, command.downgrade, before())
    database.prepare()
    return database


def insert_shares(connection: Connection) -> None:
    connection.execute(
        """
        insert into openai_costs.user_costs (organization, usage_date, user_id, line_item, currency, amount)
        values ('acme', %(day)s, 'u', 'a', 'USD', 0.25), ('acme', %(day)s, 'u', 'a', 'usd', 0.25)
        """,
        {"day": MIXED},
    )
    connection.execute(
        """
        insert into openai_costs.allocations (
            organization, usage_date, project_id, user_id, api_key_id, line_item, currency, amount, method
        )
        values
            ('acme', %(day)s, 'p', 'u', 'k', 'a', 'USD', 1, 'usage'),
            ('acme', %(day)s, 'p', 'u', 'k', 'a', 'usd', 0.5, 'usage'),
            ('acme', %(day)s, 'p', null, null, 'b', 'USD', -2, 'unallocated'),
            ('acme', %(day)s, 'p', 'u', 'k', 'c', 'JPY', 90000, 'usage')
        """,
        {"day": MIXED},
    )
    connection.execute(
        """
        insert into openai_costs.allocation_days (
            organization, usage_date, sync_window_id, allocated_at, gross_usd, to_users_usd, to_keys_usd
        )
        values ('acme', %s, 1, %s, 0.5, 0.5, 0.5)
        """,
        [MIXED, NOW],
    )


def insert_revisions(connection: Connection) -> None:
    """Insert revisions of three changes: spelling only, amount and spelling, and a day without currency change."""
    for day, line_item, currency, old, new in [
        (MIXED, "a", "USD", 5, 0),
        (MIXED, "a", "usd", 0, 5),
        (MIXED, "b", "USD", 2, 0),
        (MIXED, "b", "usd", 0, 3),
        (PLAIN, "a", "usd", 1, 2),
    ]:
        connection.execute(
            """
            insert into openai_costs.revisions (
                organization, usage_date, line_item, currency, old_amount, new_amount, compared_by, observed_at
            )
            values ('acme', %s, %s, %s, %s, %s, 'line_item', %s)
            """,
            [day, line_item, currency, old, new, NOW],
        )


def fetch_rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(query).fetchall()


def test_rows_that_differ_in_currency_spelling_only_are_merged(migrated: Database) -> None:
    rows = fetch_rows(
        migrated,
        "select line_item, currency, amount::text, quantity from openai_costs.cost_rows"
        " where usage_date = '2026-03-02' order by 1, 2",
    )
    assert rows == [
        ("a", "usd", "0.6234567890123456789012345678901234", 2),
        ("b", "usd", "0.5", None),
        ("c", "jpy", "7", None),
        ("c", None, "3", None),
        ("d", "usd", None, None),
    ]


def test_row_counts_and_us_dollars_of_days_are_recomputed(migrated: Database) -> None:
    days = fetch_rows(
        migrated, "select usage_date, row_count, received_count, amount_usd from openai_costs.cost_days order by 1"
    )
    assert days == [(MIXED, 5, 6, Decimal(f"1{str(LONG)[1:]}")), (PLAIN, 1, 1, Decimal("1.5"))]


def test_user_totals_and_shares_are_added_up(migrated: Database) -> None:
    assert fetch_rows(migrated, "select currency, amount::text from openai_costs.user_costs") == [("usd", "0.5")]
    shares = fetch_rows(migrated, "select line_item, currency, amount::text from openai_costs.allocations order by 1")
    assert shares == [("a", "usd", "1.5"), ("b", "usd", "-2"), ("c", "jpy", "90000")]
    sums = fetch_rows(migrated, "select gross_usd, to_users_usd, to_keys_usd from openai_costs.allocation_days")
    assert sums == [(Decimal("3.5"), Decimal("1.5"), Decimal("1.5"))]


def test_change_of_spelling_is_no_restatement(migrated: Database) -> None:
    found = fetch_rows(
        migrated,
        "select usage_date, line_item, currency, old_amount, new_amount from openai_costs.revisions order by 1, 2",
    )
    assert found == [(MIXED, "b", "usd", 2, 3), (PLAIN, "a", "usd", 1, 2)]


def test_raw_buckets_are_unchanged(migrated: Database) -> None:
    assert fetch_rows(migrated, "select count(*) from openai_costs.raw_buckets") == [(2,)]
