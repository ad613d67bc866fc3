"""Tests of the decoding of costs rows: exact amounts, missing values and invalid numbers."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.api.response_types import WireBucket, WireCost, WirePage, parse_cost
from openai_costs_dagster.cost_records import ReportedCost

_digits = st.integers(0, 10**34 - 1).map(str)


def cost(text: str) -> ReportedCost:
    return parse_cost(msgspec.json.decode(text.encode(), type=WireCost))


def amount(value: str) -> ReportedCost:
    return cost(f'{{"amount": {{"value": {value}, "currency": "usd"}}}}')


def exact_text(value: Decimal | None) -> str | None:
    """Return sign, digits and exponent as text, because Decimal compares 2.10 and 2.1 as equal."""
    return None if value is None else str(value)


@pytest.mark.parametrize(
    "digits", ["0.02579200000000000000000000000000000", "2.193950000000000000000000000000000", "0E-6176", "-12.5", "7"]
)
def test_string_amount_keeps_every_digit(digits: str) -> None:
    read = amount(f'"{digits}"')
    assert exact_text(read.amount) == str(Decimal(digits))
    assert (read.currency, read.from_number) == ("usd", False)


@pytest.mark.parametrize(
    "digits", ["0.21870350744715547", "0", "0.06", "1e-7", "-3.25", "12345678901234567890.123456789"]
)
def test_number_amount_is_exact_and_marked(digits: str) -> None:
    read = amount(digits)
    assert exact_text(read.amount) == str(Decimal(digits))
    assert read.from_number


@given(_digits, _digits, st.integers(-6176, 6144), st.booleans(), st.booleans())
def test_any_decimal_is_parsed_exactly_as_string_and_number(
    whole: str, fraction: str, exponent: int, negative: bool, as_string: bool
) -> None:
    text = f"{'-' if negative else ''}{whole}.{fraction}E{exponent}"
    read = amount(f'"{text}"' if as_string else text)
    assert exact_text(read.amount) == str(Decimal(text))
    assert read.from_number is not as_string


@pytest.mark.parametrize(
    "text", ["{}", '{"amount": null}', '{"amount": {}}', '{"amount": {"value": null, "currency": null}}']
)
def test_missing_amount_is_none(text: str) -> None:
    read = cost(text)
    assert (read.amount, read.currency, read.from_number) == (None, None, False)


def test_currency_without_amount_is_kept() -> None:
    assert cost('{"amount": {"value": null, "currency": "usd"}}').currency == "usd"


@pytest.mark.parametrize(
    "value",
    [
        '"NaN"',
        '"sNaN"',
        '"Infinity"',
        '"-inf"',
        '"1_000"',
        '""',
        '"abc"',
        '"1,5"',
        '"$1"',
        '"0x1"',
        '" 1"',
        '"1 "',
        '"\\u0031"',
        '"\u0663"',
        '"1E99999999999999999999"',
        "true",
        "{}",
        "[1]",
    ],
)
def test_amount_that_is_not_a_decimal_raises(value: str) -> None:
    with pytest.raises(ValueError, match=r"amount\.value"):
        amount(value)


@given(st.text(max_size=12))
def test_any_text_is_a_finite_amount_or_raises(text: str) -> None:
    try:
        found = amount(json.dumps(text)).amount
    except ValueError:
        return
    assert found is not None
    assert found.is_finite()


@pytest.mark.parametrize(
    ("value", "quantity"),
    [
        ("51584.0", "51584.0"),
        ("438790", "438790"),
        ("0.1", "0.1"),
        ("0.10000000000000000000000000000000001", "0.10000000000000000000000000000000001"),
        ("null", None),
    ],
)
def test_quantity_is_exact_or_none(value: str, quantity: str | None) -> None:
    assert exact_text(cost(f'{{"quantity": {value}}}').quantity) == quantity


@pytest.mark.parametrize("value", ['"1_000"', '"abc"', '""', "true", "[]", "1e99999999999999999999"])
def test_quantity_that_is_not_a_decimal_raises(value: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        cost(f'{{"quantity": {value}}}')


def test_null_and_empty_dimensions_stay_different() -> None:
    read = cost(
        '{"project_id": "proj_1", "user_id": null, "api_key_id": "", "line_item": "a, \\"b\\" \\u00e9",'
        ' "quantity_unit": "tokens"}'
    )
    assert read == ReportedCost("proj_1", None, "", 'a, "b" \u00e9', None, "tokens", None, None, False)


def test_unknown_keys_are_ignored_at_any_level() -> None:
    page = msgspec.json.decode(
        b'{"object": "page", "new": {"a": [1]}, "has_more": false, "next_page": null, "data": ['
        b'{"object": "bucket", "start_time": 0, "end_time": 86400, "start_time_iso": "1970-01-01T00:00:00",'
        b' "results": [{"new": [], "amount": {"value": "1", "currency": "usd", "tax": 3}, "api_source": "x"}]}]}',
        type=WirePage,
    )
    bucket = msgspec.json.decode(page.data[0], type=WireBucket)
    assert [parse_cost(row).amount for row in bucket.results] == [1]


def test_bytes_of_a_bucket_are_unchanged() -> None:
    raw = b'{"end_time": 86400,  "start_time": 0, "results": [], "unknown": 1.50}'
    page = msgspec.json.decode(b'{"data": [' + raw + b"]}", type=WirePage)
    assert bytes(page.data[0]) == raw


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"data": null}', b'{"data": [], "next_page": 1}', b'{"data": []'])
def test_page_with_another_format_is_rejected(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body, type=WirePage)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ('"usd"', "usd"),
        ('"USD"', "usd"),
        ('" Usd\\n"', "usd"),
        ('"JPY"', "jpy"),
        ("null", None),
        ('""', None),
        ('"  "', None),
    ],
)
def test_currency_codes_are_normalized(sent: str, stored: str | None) -> None:
    assert cost(f'{{"amount": {{"value": "1", "currency": {sent}}}}}').currency == stored
