"""Tests of the usage counters against OpenAI's API specification and SDK, and of the counters of each line item."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.admin.organization import usage_completions_response, usage_decisions_response
from pydantic import BaseModel

from openai_costs_dagster.spend.allocation.allocation_rules import billed_counters, counter_value
from openai_costs_dagster.spend.line_items import classify
from openai_costs_dagster.usage_records import OPERATIONS, TOKEN_TOTALS, Operation, UsageRow

# Example rows of the published OpenAPI specification (openai/openai-openapi, 2026-08-21), without their dimensions.
# The first row of an endpoint comes from the description of the result object, the second from the example response.
SPEC_EXAMPLES: dict[str, list[dict[str, int]]] = {
    "completions": [
        {
            "input_tokens": 5000,
            "input_cached_tokens": 1800,
            "input_cache_write_tokens": 200,
            "input_uncached_tokens": 3000,
            "output_tokens": 1000,
            "input_text_tokens": 2500,
            "output_text_tokens": 800,
            "input_cached_text_tokens": 1500,
            "input_audio_tokens": 300,
            "input_cached_audio_tokens": 100,
            "output_audio_tokens": 100,
            "input_image_tokens": 200,
            "input_cached_image_tokens": 200,
            "output_image_tokens": 100,
            "num_model_requests": 5,
        },
        {
            "input_tokens": 1000,
            "input_cached_tokens": 400,
            "input_cache_write_tokens": 100,
            "input_uncached_tokens": 500,
            "output_tokens": 500,
            "input_text_tokens": 400,
            "output_text_tokens": 400,
            "input_cached_text_tokens": 300,
            "input_audio_tokens": 50,
            "input_cached_audio_tokens": 50,
            "output_audio_tokens": 50,
            "input_image_tokens": 50,
            "input_cached_image_tokens": 50,
            "output_image_tokens": 50,
            "num_model_requests": 5,
        },
    ],
    "embeddings": [{"input_tokens": 20, "num_model_requests": 2}],
    "moderations": [{"input_tokens": 20, "num_model_requests": 2}],
    "images": [{"images": 2, "num_model_requests": 2}],
    "audio_speeches": [{"characters": 45, "num_model_requests": 1}],
    "audio_transcriptions": [{"seconds": 10, "num_model_requests": 1}],
    "vector_stores": [{"usage_bytes": 1024}],
    "code_interpreter_sessions": [{"num_sessions": 1}],
    "file_search_calls": [{"num_requests": 2}],
    "web_search_calls": [{"num_model_requests": 2, "num_requests": 2}],
}
_EXAMPLES = [(name, row) for name, rows in SPEC_EXAMPLES.items() for row in rows]
_COMPLETIONS = SPEC_EXAMPLES["completions"]
_BY_NAME = {operation.name: operation for operation in OPERATIONS}


def row(counters: dict[str, int]) -> UsageRow:
    return UsageRow("p", "ada", "k", "gpt-5", {}, {name: Decimal(count) for name, count in counters.items()})


@pytest.mark.parametrize(("name", "example"), _EXAMPLES)
def test_counters_of_the_specification_are_known(name: str, example: dict[str, int]) -> None:
    assert example.keys() <= set(_BY_NAME[name].counters)


@pytest.mark.parametrize("example", _COMPLETIONS, ids=["result object", "endpoint"])
def test_parts_add_up_to_totals_in_the_specification(example: dict[str, int]) -> None:
    for total in TOKEN_TOTALS:
        if known := [example[part] for part in total.parts if part in example]:
            assert sum(known) == example[total.name], total.name


def _sdk_results(operation: Operation) -> type[BaseModel]:
    module: Any = usage_completions_response if operation.published else usage_decisions_response
    found = [
        model
        for model in vars(module).values()
        if isinstance(model, type)
        and issubclass(model, BaseModel)
        and "object" in model.model_fields
        and f"'{operation.result_object}'" in str(model.model_fields["object"].annotation)
    ]
    return found[0]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_counters_equal_those_of_the_official_sdk(operation: Operation) -> None:
    fields = _sdk_results(operation).model_fields
    numbers = {name for name, field in fields.items() if field.annotation in (int, int | None)}
    assert set(operation.counters) == numbers
    assert all(counter.description for counter in operation.counter_definitions)


@pytest.mark.parametrize("example", _COMPLETIONS, ids=["result object", "endpoint"])
def test_missing_counter_is_derived_from_the_others(example: dict[str, int]) -> None:
    first_parts = {total.parts[0] for total in TOKEN_TOTALS}
    for name in first_parts & example.keys():
        without = {key: value for key, value in example.items() if key != name}
        assert counter_value(row(without), name) == example[name], name


def test_uncached_text_and_image_tokens_are_derived() -> None:
    old = {"input_tokens": 1000, "input_cached_tokens": 400, "input_audio_tokens": 100}
    assert counter_value(row(old), "input_uncached_tokens") == 600
    assert counter_value(row(old), "input_text_tokens") == 500
    assert counter_value(row(old), "input_image_tokens") == 0


def test_cached_tokens_are_not_subtracted_from_modality_counters() -> None:
    (example, _) = _COMPLETIONS
    assert counter_value(row(example), "input_text_tokens") == 2500
    assert counter_value(row(example), "input_audio_tokens") == 300
    assert counter_value(row(example), "input_image_tokens") == 200


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("gpt-audio text, input", 2500),
        ("gpt-audio audio, input", 300),
        ("gpt-audio image, input", 200),
        ("gpt-audio text, cached input", 1500),
        ("gpt-audio audio, cached input", 100),
        ("gpt-audio image, cached input", 200),
        ("gpt-audio text, output", 800),
        ("gpt-audio audio, output", 100),
        ("gpt-audio image, output", 100),
        ("gpt-audio, input", 3000),
        ("gpt-audio, cached input", 1800),
        ("gpt-audio, cache writes", 200),
        ("gpt-audio, output", 1000),
        ("gpt-audio", 6000),
    ],
)
def test_line_item_in_tokens_follows_its_own_counter(label: str, expected: int) -> None:
    (counter,) = billed_counters(classify(label), "tokens")
    assert counter_value(row(_COMPLETIONS[0]), counter.counter) == expected


@given(
    st.dictionaries(
        st.sampled_from([name for name in _BY_NAME["completions"].counters if name != "num_model_requests"]),
        st.integers(0, 10**12),
    )
)
def test_derived_counters_are_never_negative(counters: dict[str, int]) -> None:
    for name in (*_BY_NAME["completions"].counters, "all_tokens"):
        assert counter_value(row(counters), name) >= 0
