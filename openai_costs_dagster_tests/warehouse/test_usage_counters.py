"""Tests of usage counters in the database: exact values, and the columns of the view `daily_usage`."""

from __future__ import annotations

from decimal import Decimal

import pytest

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.usage_records import COLUMNS, OPERATIONS, UsageRow
from openai_costs_dagster.warehouse import statements, usage
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.usage import UsageDay, UsageWindow

from ..conftest import NOW
from .windows import DAY

# The columns of version 1 of the views. `create or replace view` cannot move or rename any of them.
FIRST_COLUMNS = """
    batch service_tier input_tokens input_cached_tokens input_uncached_tokens input_cache_write_tokens output_tokens
    input_text_tokens input_cached_text_tokens output_text_tokens input_audio_tokens input_cached_audio_tokens
    output_audio_tokens input_image_tokens input_cached_image_tokens output_image_tokens num_model_requests
    input_cache_write_30m_tokens input_cache_write_12h_tokens size source images characters seconds usage_bytes
    num_sessions vector_store_id num_requests context_level
"""


@pytest.mark.parametrize("text", ["0.1", "9007199254740993", "123456789012345678901.123456789012345678", "0"])
def test_stored_counter_is_returned_exactly(connection: Connection, text: str) -> None:
    (operation,) = (item for item in OPERATIONS if item.name == "audio_transcriptions")
    row = UsageRow("proj_a", None, None, "whisper-1", {}, {"seconds": Decimal(text)})
    reading = UsageWindow("acme", operation, DayRange(DAY, DAY), operation.groups, NOW, frozenset())
    usage.store(connection, reading, [UsageDay(DAY, [row], b"{}")])
    (found,) = usage.rows_of_days(connection, "acme", [DAY])
    assert found.row.counters == {"seconds": Decimal(text)}


def test_view_has_one_column_for_each_dimension_and_counter() -> None:
    names = {name for operation in OPERATIONS for name in (*operation.other_groups, *operation.counters)}
    assert sorted(COLUMNS) == sorted(names), "append the new names to COLUMNS in usage_records.py"


def test_new_columns_follow_the_columns_of_the_first_version() -> None:
    first = FIRST_COLUMNS.split()
    assert list(COLUMNS[: len(first)]) == first


def test_appended_column_extends_the_view_of_an_existing_database(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection:
        before = columns_of_view(connection)
        monkeypatch.setattr(statements, "COLUMNS", (*COLUMNS, "input_test_tokens"))
        connection.execute(statements.views.__wrapped__()[statements.view_names().index("daily_usage")])
        assert columns_of_view(connection) == [*before, "input_test_tokens"]


def columns_of_view(connection: Connection) -> list[str]:
    return [column.name for column in connection.execute("select * from openai_costs.daily_usage").description or ()]
