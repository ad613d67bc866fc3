"""Tests of the removal of names and email addresses from responses."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.privacy import remove_addresses, remove_users, response_cleaner, scrub_name

_text = st.text(max_size=8)
_row = st.fixed_dictionaries(
    {"amount": st.fixed_dictionaries({"value": _text}), "line_item": st.none() | _text},
    optional={
        "user_id": st.sampled_from([None, "user-ada", "user-lin"]),
        "user_email": st.sampled_from([None, "ada@example.com", 'a"}\\@example.com']),
        "project_name": _text,
    },
)


def bucket(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"object": "bucket", "start_time": 1, "results": rows}).encode()


@given(st.lists(_row, max_size=4))
def test_only_the_forgotten_user_loses_the_address(rows: list[dict[str, Any]]) -> None:
    found = json.loads(remove_users(bucket(rows), ["user-ada"]))["results"]
    for before, after in zip(rows, found, strict=True):
        mentions = "user-ada" in json.dumps(before)
        expected = {**before, "user_email": None} if mentions and "user_email" in before else before
        assert after == expected


@given(st.lists(_row, max_size=4))
def test_response_without_addresses_is_unchanged(rows: list[dict[str, Any]]) -> None:
    clean = [{name: value for name, value in row.items() if name not in {"user_email", "project_name"}} for row in rows]
    raw = bucket([row for row in clean if "@" not in json.dumps(row)])
    assert remove_addresses(raw) == raw
    assert remove_users(raw, ["user-nobody"]) == raw


def test_addresses_are_removed_from_all_fields() -> None:
    raw = b'{"email": "ada@example.com", "user_email":"x\\"y@z.com", "name": "write to ada@example.com", "kept": "a@b"}'
    assert json.loads(remove_addresses(raw)) == {
        "email": None,
        "user_email": None,
        "name": "write to ...",
        "kept": "a@b",
    }


def test_cleaner_follows_its_settings() -> None:
    raw = bucket([{"user_id": "user-ada", "user_email": "ada@example.com"}])
    assert response_cleaner(emails=True, forgotten=[])(raw) == raw
    assert b"@" not in response_cleaner(emails=False, forgotten=[])(raw)
    assert b"@" not in response_cleaner(emails=True, forgotten=["user-ada"])(raw)
    assert response_cleaner(emails=True, forgotten=["user-lin"])(raw) == raw


def test_forgotten_user_loses_the_name_if_no_emails_are_stored() -> None:
    raw = b'{"user_id": "user-ada", "user_email": "ada@example.com", "user_name": "Ada"}'
    gone = {"user_id": "user-ada", "user_email": None, "user_name": None}
    assert json.loads(response_cleaner(emails=False, forgotten=["user-ada"])(raw)) == gone
    assert json.loads(response_cleaner(emails=False, forgotten=["user-lin"])(raw)) == {**gone, "user_name": "Ada"}


def test_nested_user_object_is_cleared() -> None:
    raw = b'{"results": [{"user": {"id": "user-ada", "email": "ada@example.com", "name": "Ada"}, "amount": 1}]}'
    rest = json.loads(remove_users(raw, ["user-ada"]))
    assert rest == {"results": [{"user": {"id": "user-ada", "email": None, "name": None}, "amount": 1}]}


def test_address_with_an_escaped_at_sign_is_removed() -> None:
    raw = b'{"kept": "a\\\\u0040b.c", "name": "ada\\u0040example.com", "other": "x"}'
    assert json.loads(remove_addresses(raw)) == {"kept": "a\\u0040b.c", "name": "...", "other": "x"}


def test_name_is_stored_without_the_address_in_it() -> None:
    assert scrub_name("ada@example.com", emails=False) is None
    assert scrub_name("key of ada@example.com (old)", emails=False) == "key of ... (old)"
    assert scrub_name("Ada @ home", emails=False) == "Ada @ home"
    assert scrub_name("ada@example.com", emails=True) == "ada@example.com"
    assert scrub_name("a\0b", emails=True) == "a\ufffdb"
    assert scrub_name(None, emails=False) is None
