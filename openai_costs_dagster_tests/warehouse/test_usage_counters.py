"""Tests that usage counters keep every digit in the database."""

from __future__ import annotations

from decimal import Decimal

import pytest

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.usage_records import OPERATIONS, UsageRow
from openai_costs_dagster.warehouse import usage
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.usage import UsageDay, UsageWindow

from ..conftest import NOW
from .windows import DAY


@pytest.mark.parametrize("text", ["0.1", "9007199254740993", "123456789012345678901.123456789012345678", "0"])
def test_a_counter_is_read_back_as_it_was_stored(connection: Connection, text: str) -> None:
    (operation,) = (one for one in OPERATIONS if one.name == "audio_transcriptions")
    row = UsageRow("proj_a", None, None, "whisper-1", {}, {"seconds": Decimal(text)})
    reading = UsageWindow("acme", operation, DayRange(DAY, DAY), operation.groups, NOW, frozenset())
    usage.store(connection, reading, [UsageDay(DAY, [row], b"{}")])
    (found,) = usage.rows_of_days(connection, "acme", [DAY])
    assert found.row.counters == {"seconds": Decimal(text)}
