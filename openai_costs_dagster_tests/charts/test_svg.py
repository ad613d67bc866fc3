"""Tests that charts are well-formed SVG with escaped titles."""

from __future__ import annotations

import base64
import datetime as dt
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.charts.svg import Bar, Point, bars_svg, markdown, svg
from openai_costs_dagster.days import ONE_DAY

DAY = dt.date(2026, 11, 20)
SVG = "{http://www.w3.org/2000/svg}"

AMOUNTS = st.floats(-1e4, 1e6, allow_nan=False)


def points(values: list[tuple[float, float, float, float]]) -> list[Point]:
    return [Point(DAY + number * ONE_DAY, *value) for number, value in enumerate(values)]


@given(
    values=st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS), min_size=1, max_size=60), title=st.text(max_size=30)
)
def test_any_series_is_well_formed_svg(values: list[tuple[float, float, float, float]], title: str) -> None:
    printable = "".join(character for character in title if character.isprintable())
    drawn = ET.fromstring(svg(printable, points(values), {DAY}))  # noqa: S314  # our own
    assert len(drawn.findall(f"{SVG}circle")) == 1
    assert drawn.findall(f"{SVG}text")[0].text == (printable or None)


@given(dollars=st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=60))
def test_credits_are_drawn_below_zero_within_the_chart(dollars: list[float]) -> None:
    drawn = ET.fromstring(bars_svg("spend", [Bar(DAY + n * ONE_DAY, amount) for n, amount in enumerate(dollars)]))  # noqa: S314
    ground, *bars = drawn.findall(f"{SVG}rect")
    tops = [float(bar.attrib["y"]) for bar in bars]
    feet = [float(bar.attrib["y"]) + float(bar.attrib["height"]) for bar in bars]
    assert min(tops) >= 0
    assert max(feet) <= float(ground.attrib["height"])
    nothing = {foot for foot, amount in zip(feet, dollars, strict=True) if amount > 0}
    nothing |= {top for top, amount in zip(tops, dollars, strict=True) if amount < 0}
    assert max(nothing, default=0) - min(nothing, default=0) < 0.2


def test_hostile_title_is_escaped() -> None:
    drawn = svg('<script>alert(1)</script>"', points([(1, 1, 0, 2)]), set())
    assert "<script>" not in drawn


def test_markdown_embeds_the_chart() -> None:
    text = markdown("spend", points([(1, 1, 0, 2), (9, 1, 0, 2)]), {DAY + ONE_DAY})
    prefix, _, data = text.partition(";base64,")
    assert prefix == "![spend by day](data:image/svg+xml"
    drawn = base64.b64decode(data.rstrip(")")).decode()
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
