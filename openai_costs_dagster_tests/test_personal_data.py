"""Tests of the removal of one person's names and addresses from pages and free text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.personal_data import (
    Person,
    forget,
    forget_in_free_text,
    free_text_mentions,
    mentions,
)

ADA = Person("user-ada", frozenset({"ada@example.com", "ada.l+openai@corp.example"}), names=frozenset({"Ada Lovelace"}))
AMOUNT = '{"value": 0.10000000000000000000000000000001, "n": 1E+2, "z": -0.0, "s": "0E-6176"}'


def page(row: str) -> str:
    other = '{"user_id": "user-lin", "user_email": "lin@example.com", "amount": ' + AMOUNT + "}"
    return '{"object": "bucket",  "results": [' + other + ", " + row + ', {"user_id": null}]}'


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(
            '{"a": {"b": {"c": {"user": {"id": "user-ada", "email": "x@y.org", "name": "Ada"}}}}, "amount": AMOUNT}',
            '{"a": {"b": {"c": {"user": {"id": "user-ada", "email": null, "name": null}}}}, "amount": AMOUNT}',
            id="five levels deep",
        ),
        pytest.param(
            '{"user": {"id": "user-ada"}, "more": {"deep": [{"of": {"user_email": "x@y.org"}}]}, "amount": AMOUNT}',
            '{"user": {"id": "user-ada"}, "more": {"deep": [{"of": {"user_email": null}}]}, "amount": AMOUNT}',
            id="beside the id",
        ),
        pytest.param(
            '{"id": "key_1", "name": "laptop", "owner": {"user": {"id": "user-ada", "name": "Ada"}}}',
            '{"id": "key_1", "name": "laptop", "owner": {"user": {"id": "user-ada", "name": null}}}',
            id="the name of a key",
        ),
        pytest.param(
            '{"from": {"id": "user-ada", "name": "Ada"}, "to": {"id": "user-lin", "name": "Lin"}}',
            '{"from": {"id": "user-ada", "name": null}, "to": {"id": "user-lin", "name": "Lin"}}',
            id="another user in the same row",
        ),
        pytest.param(
            r'{"user_id": "user\u002dada", "user_email": "\u0061da\u0040example.com"}',
            r'{"user_id": "user\u002dada", "user_email": null}',
            id="escaped id",
        ),
        pytest.param(
            r'{"name": "key of ADA\u0040Example.COM, old"}',
            '{"name": "key of ..., old"}',
            id="escaped sign, upper case",
        ),
        pytest.param('{"note": "ada+bots@example.com"}', '{"note": "..."}', id="alias with a tag"),
        pytest.param('{"note": "to ada.l+openai@corp.example."}', '{"note": "to ...."}', id="address with a tag"),
        pytest.param(
            r'{"details": "{\"amount\": 0.10, \"by\": [\"ada\\u0040example.com\"]}"}',
            r'{"details": "{\"amount\": 0.10, \"by\": [\"...\"]}"}',
            id="JSON in a string",
        ),
        pytest.param('{"user-ada": {"name": "Ada"}, "n": 1}', '{"user-ada": {"name": null}, "n": 1}', id="id as a key"),
        pytest.param('{"ada@example.com": AMOUNT}', '{"...": AMOUNT}', id="address as a key"),
        pytest.param('{"note": "\\nada@example.com\\n"}', '{"note": "\\n...\\n"}', id="after a line break"),
    ],
)
def test_names_and_addresses_are_removed_and_other_bytes_stay(row: str, expected: str) -> None:
    before, after = page(row.replace("AMOUNT", AMOUNT)), page(expected.replace("AMOUNT", AMOUNT))
    assert mentions(before, ADA)
    assert forget(before, ADA).text == after
    assert not mentions(after, ADA)
    assert forget(after, ADA).text == after


@pytest.mark.parametrize(
    "row",
    [
        '{"note": "lada@example.com and ada@example.com.au and ada@example.community"}',
        '{"note": "user-adah", "name": "Ada"}',
        '{"id": "user-lin", "invited_by": "user-ada", "name": "Lin"}',
        '{"amount": AMOUNT}',
    ],
)
def test_similar_ids_and_addresses_stay(row: str) -> None:
    text = page(row.replace("AMOUNT", AMOUNT))
    assert forget(text, ADA).text == text
    assert not mentions(text, ADA)


def test_address_of_another_user_is_not_an_alias() -> None:
    person = Person(
        "user-ada", frozenset({"team@example.com"}), addresses_of_others=frozenset({"team+lin@example.com"})
    )
    text = '{"a": "team+lin@example.com", "b": "team+x@example.com"}'
    assert json.loads(forget(text, person).text) == {"a": "team+lin@example.com", "b": "..."}


def test_addresses_found_only_in_pages_are_returned() -> None:
    row = '{"user": {"id": "user-ada", "email": "Other@Example.org"}, "invited_by_email": "boss@example.com"}'
    assert forget(page(row), ADA).addresses == {"other@example.org"}


_values = st.recursive(
    st.none() | st.booleans() | st.decimals(allow_nan=False, allow_infinity=False).map(float) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(_values, st.booleans())
def test_any_page_loses_only_the_address(value: Any, escaped: bool) -> None:
    hidden = json.dumps({"deep": [[{"x": value, "by": "ada@example.com"}]], "id": "user-ada"}, ensure_ascii=escaped)
    without_address = json.dumps({"deep": [[{"x": value, "by": "..."}]], "id": "user-ada"}, ensure_ascii=escaped)
    if "mail" not in without_address and "name" not in without_address:
        assert forget(hidden, ADA).text == without_address


@pytest.mark.parametrize(
    "text", ["", "{", '{"a" 1}', "[1,]]", "user-ada", '"ada@example.com', '{"a": ada@example.com}']
)
def test_invalid_json_loses_the_address(text: str) -> None:
    assert forget(text, ADA).text == text.replace("ada@example.com", "...")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ada Lovelace (ada@example.com) spent $5.00", "... (...) spent $5.00"),
        ('[["user", "Ada Lovelace"], ["spent", "$5.00"]]', '[["user", "..."], ["spent", "$5.00"]]'),
        (r'{"name": "op", "text": "\nada\u0040example.com", "id": "user-ada"}', None),
        ("Ada Lovelacey spent $5.00 on Adaptive", "Ada Lovelacey spent $5.00 on Adaptive"),
    ],
)
def test_free_text_loses_addresses_and_full_names_but_no_field(text: str, expected: str | None) -> None:
    expected = expected or r'{"name": "op", "text": "\n...", "id": "user-ada"}'
    assert forget_in_free_text(text, ADA) == expected
    assert not free_text_mentions(expected, ADA)
    assert free_text_mentions(text, ADA) is (text != expected)
