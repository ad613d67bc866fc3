"""Names and addresses go, everything else stays as the API sent it, byte by byte."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.privacy import cleaner, is_address, without_addresses, without_users

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
def test_a_forgotten_user_loses_the_address_and_nobody_else_anything(rows: list[dict[str, Any]]) -> None:
    found = json.loads(without_users(bucket(rows), ["user-ada"]))["results"]
    for before, after in zip(rows, found, strict=True):
        mentions = "user-ada" in json.dumps(before)
        wanted = {**before, "user_email": None} if mentions and "user_email" in before else before
        assert after == wanted


@given(st.lists(_row, max_size=4))
def test_what_holds_no_address_stays_byte_by_byte(rows: list[dict[str, Any]]) -> None:
    clean = [{name: value for name, value in row.items() if name not in {"user_email", "project_name"}} for row in rows]
    raw = bucket([row for row in clean if "@" not in json.dumps(row)])
    assert without_addresses(raw) == raw
    assert without_users(raw, ["user-nobody"]) == raw


def test_addresses_go_wherever_they_stand() -> None:
    raw = b'{"email": "ada@example.com", "user_email":"x\\"y@z.com", "name": "write to ada@example.com", "kept": "a@b"}'
    assert json.loads(without_addresses(raw)) == {
        "email": None,
        "user_email": None,
        "name": "write to ...",
        "kept": "a@b",
    }


def test_what_is_kept_is_asked_for() -> None:
    raw = bucket([{"user_id": "user-ada", "user_email": "ada@example.com"}])
    assert cleaner(emails=True, forgotten=[])(raw) == raw
    assert b"@" not in cleaner(emails=False, forgotten=[])(raw)
    assert b"@" not in cleaner(emails=True, forgotten=["user-ada"])(raw)
    assert cleaner(emails=True, forgotten=["user-lin"])(raw) == raw


def test_a_name_may_be_an_address() -> None:
    assert is_address("ada@example.com")
    assert not is_address("Ada @ home")
    assert not is_address(None)
