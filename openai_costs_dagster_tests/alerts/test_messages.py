"""Tests of the text of alert messages: figures and a link, and no mentions or links that come from names."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.alerts.message import Message, neutralize
from openai_costs_dagster.charts.png import Bar, png
from openai_costs_dagster.warehouse.outbox import StoredAlert

from ..conftest import NOW
from .conftest import sample_alert


def stored(number: int = 1, **values: Any) -> StoredAlert:
    return StoredAlert(**dataclasses.asdict(sample_alert(f"key {number}", **values)), alert_id=number, created_at=NOW)


def test_text_of_one_alert_has_message_figures_and_link() -> None:
    message = Message("k", [stored()], "https://dagster.example")
    assert message.title == "acme: unusual spend on 2026-02-02"
    assert message.text.splitlines() == [
        "Up $412 (+310 %) on proj_search.",
        "Spent: $545.00",
        "https://dagster.example/assets/openai/acme/costs",
    ]
    assert Message("k", [stored()]).text.splitlines()[-1] == "Spent: $545.00"


def test_text_lists_the_most_severe_alert_first() -> None:
    message = Message("k", [stored(1, severity="low", title="small"), stored(2, severity="high", title="large")])
    assert message.title == "acme: 2 alerts"
    assert message.severity == "high"
    assert message.text.index("large") < message.text.index("small")


def test_long_digest_counts_the_omitted_alerts() -> None:
    message = Message("k", [stored(number) for number in range(1, 41)])
    assert "and 20 more" in message.text


def test_text_is_limited_to_the_length_that_the_service_accepts() -> None:
    many = Message("k", [stored(number) for number in range(1, 11)])
    for length in (200, 500, 2000):
        assert len(many.text_within(length)) <= length
    assert "and 9 more" in many.text_within(200)
    assert Message("k", [stored(message="x" * 900)]).text_within(100) == "x" * 99 + "\u2026"


def test_names_cannot_mention_people_or_disguise_links() -> None:
    hostile = "# <!channel> @everyone [click](https://evil.example) **x** `x`\nsecond\0line\u2028third\u202eright"
    neutralized = neutralize(hostile)
    assert not neutralized.startswith("#")
    for dangerous in ("<!", "@everyone", "](", "://", "`", "**", "\n", "\0", "\u2028", "\u202e"):
        assert dangerous not in neutralized


@given(st.text())
def test_neutralized_text_is_one_line(text: str) -> None:
    assert not {"<", ">", "`", "\n", "\r", "\0"} & set(neutralize(text))


@given(
    st.lists(
        st.builds(Bar, st.floats(-1e3, 1e9), st.floats(0, 1e6), st.floats(0, 1e9), st.booleans()),
        min_size=1,
        max_size=90,
    )
)
def test_chart_of_any_bars_is_a_complete_png(bars: list[Bar]) -> None:
    picture = png(bars)
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    length = struct.unpack(">I", picture[33:37])[0]
    assert len(zlib.decompress(picture[41 : 41 + length])) == height * (1 + 3 * width)
