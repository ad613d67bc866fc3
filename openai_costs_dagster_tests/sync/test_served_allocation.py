"""Tests of the allocation of line items that public bug reports and the published API specification describe."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from openai_costs_dagster.cost_records import MAX_KEY_LENGTH
from openai_costs_dagster.records import LineItem
from openai_costs_dagster.spend.line_items import classify
from openai_costs_dagster.sync import allocation

from ..row_server import Row, RowServer
from ..served_organization import DAY, Serve

Usage = Callable[[str, dt.date], list[Row]]
Allocated = set[tuple[str, str | None, Decimal]]


def cost_row(label: str, amount: str, quantity: int | None, **more: Any) -> Row:
    return {
        "project_id": "proj_a",
        "api_key_id": "key_a",
        "currency": "usd",
        "line_item": label,
        "amount": amount,
        "quantity": quantity,
        "quantity_unit": "tokens",
        **more,
    }


def usage_row(user: str, model: str, **more: Any) -> Row:
    return {
        "project_id": "proj_a",
        "api_key_id": "key_a",
        "user_id": user,
        "model": model,
        "batch": False,
        "service_tier": "default",
        "num_model_requests": 1,
        "input_tokens": 0,
        "output_tokens": 0,
        **more,
    }


def usage_of(**of_endpoints: list[Row]) -> Usage:
    return lambda operation, _: of_endpoints.get(operation, [])


def allocated(serve: Serve, rows: list[Row], usage: Usage) -> Allocated:
    """Return the line item, user and amount of every allocated cost of `DAY`."""
    work = serve(RowServer(rows=lambda _: rows, usage=usage))
    assert not work.ingest().failed
    assert not work.ingest_usage().failed
    work.allocate()
    query = f"select line_item, user_id, amount from openai_costs.allocated_costs where usage_date = '{DAY}'"  # noqa: S608
    return set(work.query(query))


def shares_of(label: str, **amounts: str) -> Allocated:
    return {(label, None if user == "unallocated" else user, Decimal(amount)) for user, amount in amounts.items()}


def test_uncached_and_cached_audio_costs_follow_their_own_tokens(serve: Serve) -> None:
    model = "gpt-audio-2025-08-28"
    audio, cached, text = f"{model} audio, input", f"{model} audio, cached input", f"{model} text, input"
    rows = [
        cost_row(audio, "2.00", 200),
        cost_row(cached, "0.40", 400),
        cost_row(text, "1.00", 200),
        cost_row(f"{model} text, cached input", "0.30", 300),
    ]
    usage = usage_of(
        completions=[
            usage_row(
                "ada",
                model,
                input_tokens=600,
                input_cached_tokens=400,
                input_uncached_tokens=200,
                input_text_tokens=100,
                input_cached_text_tokens=0,
                input_audio_tokens=100,
                input_cached_audio_tokens=400,
            ),
            usage_row(
                "lin",
                model,
                input_tokens=500,
                input_cached_tokens=300,
                input_uncached_tokens=200,
                input_text_tokens=100,
                input_cached_text_tokens=300,
                input_audio_tokens=100,
                input_cached_audio_tokens=0,
            ),
        ]
    )
    assert allocated(serve, rows, usage) == (
        shares_of(audio, ada="1", lin="1")
        | shares_of(cached, ada="0.4")
        | shares_of(text, ada="0.5", lin="0.5")
        | shares_of(f"{model} text, cached input", lin="0.3")
    )


def test_text_tokens_are_all_tokens_less_audio_tokens(serve: Serve) -> None:
    rows = [cost_row("gpt-audio text, input", "3.00", 300), cost_row("gpt-audio audio, input", "1.00", 100)]
    usage = usage_of(
        completions=[
            usage_row("ada", "gpt-audio", input_tokens=250, input_cached_tokens=0, input_audio_tokens=50),
            usage_row("lin", "gpt-audio", input_tokens=150, input_cached_tokens=0, input_audio_tokens=50),
        ]
    )
    assert allocated(serve, rows, usage) == shares_of("gpt-audio text, input", ada="2", lin="1") | shares_of(
        "gpt-audio audio, input", ada="0.5", lin="0.5"
    )


@pytest.mark.parametrize(
    ("on_bill", "in_usage"),
    [
        ("gpt-image-1", "gpt-image-1"),
        ("gpt-image-2-2026-04-21", "gpt-image-2"),
        ("gpt-image-2", "gpt-image-2-2026-04-21"),
    ],
)
def test_image_costs_billed_in_tokens_follow_tokens_under_either_model_name(
    serve: Serve, on_bill: str, in_usage: str
) -> None:
    label = f"{on_bill} image, output"
    usage = usage_of(
        completions=[
            usage_row("ada", in_usage, output_tokens=6000, output_image_tokens=6000),
            usage_row("lin", in_usage, output_tokens=2000, output_image_tokens=2000),
        ],
        images=[
            {
                "project_id": "proj_a",
                "api_key_id": "key_a",
                "user_id": user,
                "model": in_usage,
                "images": images,
                "num_model_requests": 1,
                "size": "1024x1024",
                "source": "image.generation",
            }
            for user, images in (("ada", 1), ("lin", 3))
        ],
    )
    assert allocated(serve, [cost_row(label, "8.00", 8000)], usage) == shares_of(label, ada="6", lin="2")


def test_costs_of_a_service_tier_follow_usage_of_the_same_tier(serve: Serve) -> None:
    rows = [
        cost_row("gpt-6.2-sol, output", "1.00", 1000),
        cost_row("priority | gpt-6.2-sol, output", "2.00", 1000),
        cost_row("ultrafast | gpt-6.2-sol, output", "6.00", None),
    ]
    usage = usage_of(
        completions=[
            usage_row("ada", "gpt-6.2-sol", output_tokens=1000),
            usage_row("lin", "gpt-6.2-sol", output_tokens=1000, service_tier="fast"),
        ]
    )
    assert allocated(serve, rows, usage) == (
        shares_of("gpt-6.2-sol, output", ada="1")
        | shares_of("priority | gpt-6.2-sol, output", lin="2")
        | shares_of("ultrafast | gpt-6.2-sol, output", unallocated="6")
    )


def test_stored_classifications_are_used_without_classifying_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str | None] = []

    def classify_and_record(label: str | None) -> LineItem:
        computed.append(label)
        return classify(label)

    monkeypatch.setattr(allocation, "classify", classify_and_record)
    long = "gpt-5-mini-2025-08-07, " + "output" * MAX_KEY_LENGTH
    rows = [cost_row("gpt-5-mini-2025-08-07, output", "8.00", 8000), cost_row(long, "1.00", 1000)]
    usage = usage_of(completions=[usage_row("ada", "gpt-5-mini-2025-08-07", output_tokens=8000)])
    assert allocated(serve, rows, usage) == shares_of("gpt-5-mini-2025-08-07, output", ada="8") | shares_of(
        long, unallocated="1"
    )
    assert computed == [long]  # The classification of such a long line item is not stored.
