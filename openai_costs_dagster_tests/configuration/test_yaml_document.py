"""Tests of the YAML parser: the core schema of YAML 1.2, and the line of each value."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.configuration.yaml_document import Document, YamlError


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "Yes", "NO", "y", "n", "12_3", "0b1", "1:30", "2026-01-01"])
def test_yaml_1_1_booleans_and_dates_are_text(word: str) -> None:
    assert Document(f"value: {word}").value == {"value": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-12", -12),
        ("0o17", 15),
        ("0xff", 255),
        ("012", 12),
        ("0.1", Decimal("0.1")),
        ("-.5", Decimal("-0.5")),
        ("1e3", Decimal(1000)),
        ("0.10000000000000000000000000000000001", Decimal("0.10000000000000000000000000000000001")),
        ("'12'", "12"),
        ('"true"', "true"),
        ("''", ""),
        (".inf", ".inf"),
    ],
)
def test_scalars_follow_the_core_schema_and_numbers_are_exact(text: str, value: Any) -> None:
    found = Document(f"value: {text}").value["value"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("name", ["no", "on", "12", "12_3", "1.0", "true", "null", "~"])
def test_keys_are_always_text(name: str) -> None:
    assert Document(f"{name}: 1").value == {name: 1}


def test_duplicate_key_is_refused_with_both_lines() -> None:
    with pytest.raises(YamlError, match=r"line 4: duplicate key 'a' \(first in line 2\)"):
        Document("top:\n  a: 1\n  b: 2\n  a: 3\n")


def test_equal_keys_in_different_mappings_are_accepted() -> None:
    assert Document("x: {a: 1}\ny: {a: 2}").value == {"x": {"a": 1}, "y": {"a": 2}}


def test_absent_value_has_the_line_of_its_parent() -> None:
    document = Document("# a comment\ntop:\n  list:\n    - {a: 1}\n    - b: 2\n      c: 3\n")
    assert document.line(("top",)) == 2
    assert document.line(("top", "list")) == 3
    assert document.line(("top", "list", 0, "a")) == 4
    assert document.line(("top", "list", 1, "c")) == 6
    assert document.line(("top", "list", 1, "absent")) == 5
    assert document.line(("absent",)) == document.line(()) == 2


def test_anchors_are_followed_and_quoted_text_may_span_lines() -> None:
    assert Document("a: &one {x: 1}\nb: *one\nc: |\n  two\n  lines\n").value == {
        "a": {"x": 1},
        "b": {"x": 1},
        "c": "two\nlines\n",
    }


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\nb: *unknown\n", 2),
        ("a: 1\n? [b]\n: 2\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
        ("a: 'open\n", 2),
    ],
)
def test_invalid_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(YamlError, match=f"^line {line}: "):
        Document(text)


@pytest.mark.parametrize(
    "text",
    ["a: &x {b: *x}", "a: &x [*x]", "a: " + "9" * 5000, "a: 1e99999999999999999999", "a: \x01"],
    ids=["a mapping in itself", "a list in itself", "digits without end", "a huge exponent", "a control character"],
)
def test_unusable_yaml_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(YamlError) as raised:
        Document(text)
    assert "\n" not in str(raised.value)


@given(st.text(st.sampled_from("abc019_.:-+eE[]{},'\"#&*!|>?~ \n\t%@`"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(YamlError):
        document = Document(text)
        keys = document.value if isinstance(document.value, dict) else {}
        assert all((document.line((key,)) or 0) in range(1, text.count("\n") + 2) for key in keys)


def test_empty_document_has_no_value_and_no_lines() -> None:
    document = Document("# nothing\n")
    assert document.value is None
    assert document.line(("a",)) is None


@pytest.mark.parametrize("opened", ["[", "{a: ", "- "])
def test_excessive_nesting_is_refused_with_its_line(opened: str) -> None:
    text = "first: 1\nsecond:\n " + opened * 200_000
    with pytest.raises(YamlError, match="line 3: the YAML is nested"):
        Document(text)


_ALIASES = "a0: &a0 [x, x, x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 20))


@pytest.mark.parametrize("text", [_ALIASES, "a:\n" + "- 1\n" * 400_000, "[" + "1," * 400_000 + "1]"])
def test_too_many_values_are_refused_with_their_limit(text: str) -> None:
    with pytest.raises(YamlError, match=r"^line \d+: more than 100,000 values, where every use of an alias counts"):
        Document(text)


@pytest.mark.parametrize("text", ["1e999999999", "-1.5E-999999999", "0e-1001"])
def test_number_with_a_huge_exponent_is_refused(text: str) -> None:
    with pytest.raises(YamlError, match="line 1: this number is too long"):
        Document(f"a: {text}")


def test_alias_of_its_own_list_is_refused() -> None:
    with pytest.raises(YamlError, match="the YAML is nested more than 20 levels deep"):
        Document("a: &a [*a]")
