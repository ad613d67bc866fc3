"""Tests of the explanation of a finding, which names the impact, the causes and the expected range."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend.detection.root_causes import Flag
from openai_costs_dagster.spend.explanation import DisplayNames, Figures, ParentTotal, explain
from openai_costs_dagster.spend.price_volume_mix import Segment

from .test_price_volume_mix import segment

SEARCH = SeriesKey("acme", "proj_search")
NAMES = DisplayNames(projects={"proj_search": "Search"}, api_keys={"key_9": "batch"}, users={"user_1": "Ada"})


def figures(**values: Any) -> Figures:
    """Return the figures of a day whose spend is above the expected range. `values` replaces single fields."""
    plain: dict[str, Any] = {
        "day": dt.date(2026, 3, 4),
        "actual": "545",
        "expected": "133",
        "lower": "60",
        "upper": "200",
        "reason": "above",
        **values,
    }
    read: dict[str, Any] = {
        name: Decimal(value) if isinstance(value, str) and name != "reason" else value for name, value in plain.items()
    }
    return Figures(**read)


def explained(series: SeriesKey, *parts: Segment, **values: Any) -> str:
    return explain(series, figures(**values), parts, NAMES)


def test_rise_names_causes_and_range() -> None:
    parts = [
        segment("530", "54", "98000", "10000"),
        segment("15", "14", kind="input", quantity="15", usual_quantity="14"),
    ]
    assert explained(SEARCH, *parts) == (
        "Up $412.00 (+310 %) on Search: gpt-5.5, output, key_7 alone, 9.8x the tokens, unit price unchanged. "
        "Spend was $545.00, above its range (usual: $60.00 to $200.00)."
    )


def test_drop_starts_with_the_loss() -> None:
    text = explained(SeriesKey("acme"), actual="10", expected="100")
    assert text.startswith("Down $90.00 (-90 %) on the organization. Spend was $10.00, below its range")


def test_changed_unit_price_is_named() -> None:
    assert "unit price +50 %" in explained(SeriesKey("acme"), segment("150", "100", "1000", "1000"))


def test_line_item_without_usual_amount_is_new() -> None:
    assert "key_7 alone, new." in explained(
        SeriesKey("acme", "proj_search", "gpt-5.5"), segment("150", "0"), expected="0"
    )


def test_amounts_of_several_days_are_added_up() -> None:
    text = explained(SEARCH, reason="3 days", days=3)
    assert text.startswith("Up $412.00 (+310 %) in 3 days on Search")
    assert "The 3 days up to 2026-03-04 cost $545.00 together, above the level before them (usual: $60.00" in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"reason": "continues"}, "the unusual days before it continue (until they end, more than $200.00 is unusual)"),
        (
            {"reason": "intermittent", "days": 3, "lower": "0"},
            "more than any 3 days of this intermittent series before",
        ),
        ({"reason": "intermittent", "days": 3, "lower": "0"}, "(usual: up to $200.00)"),
        (
            {"reason": "new", "expected": "0"},
            "the series is too new for a range of its own (more than $200.00 is",
        ),
        (
            {"reason": "minor", "actual": "150", "score": "4.1"},
            "by 4.1 standard deviations, too small to alert",
        ),
    ],
)
def test_reason_is_explained_with_the_figures_of_its_test(values: dict[str, Any], expected: str) -> None:
    assert expected in explained(SEARCH, **values)


def test_new_series_names_the_total_that_jumped() -> None:
    total = ParentTotal("the organization", Decimal(900), Decimal(400))
    text = explained(SEARCH, reason="new", expected="0", total=total)
    assert text.endswith("; the organization cost $900.00 in total, expected $400.00.")


@pytest.mark.parametrize(
    ("item", "word"),
    [("Promotional credit", "a credit"), ("Volume discount", "a discount"), ("Refund of May", "a refund")],
)
def test_credit_is_not_explained_by_tokens(item: str, word: str) -> None:
    usage = segment("50", "54", "900", "1000")
    credit = segment("-60", "0", kind=item, model="(none)", api_key="(none)")
    text = explained(SeriesKey("acme"), usage, credit, actual="-10", expected="54")
    assert text.startswith(f"Down $64.00 (-119 %) on the organization: {word} of $60.00 ({item}). Spend was -$10.00")
    assert "tokens" not in text


def test_notable_mix_replaces_unchanged_unit_price() -> None:
    parts = [segment("20", "20", "2000", "2000"), segment("100", "10", "500", "50", model="large")]
    text = explained(SEARCH, *parts, actual="120", expected="30")
    assert "a dearer mix (+$" in text
    assert "unit price unchanged" not in text


def test_segments_with_opposite_change_are_not_named() -> None:
    assert "x the tokens" not in explained(SEARCH, segment("10", "54", "1000", "10000"))


def test_known_ids_are_shown_as_names() -> None:
    series = SeriesKey("acme", "proj_search", api_key="key_9")
    assert explained(series).startswith('Up $412.00 (+310 %) on Search, key "batch".')
    assert "on Ada (user_1)." in explained(SeriesKey("acme", user="user_1"))
    assert "on proj_other, no API key." in explained(SeriesKey("acme", "proj_other", api_key="(none)"))


def test_merged_keys_of_one_owner_are_listed() -> None:
    merged = [Flag(SeriesKey("acme", "proj_search", api_key="key_9"), -6.314)]
    text = explain(SEARCH, figures(actual="10"), [], NAMES, merged=merged)
    assert text.endswith(' Other API keys of the same owner changed with it: Search, key "batch" (-$6.31).')
