"""Tests of the redaction of secrets in messages."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from openai_costs_dagster.alerts.message import neutralize
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.privacy import remove_addresses, scrub_name
from openai_costs_dagster.redaction import redact

_key_characters = st.text(string.ascii_letters + string.digits + "_-", min_size=8, max_size=60)
_surroundings = st.text(max_size=60)
_printable = st.text(string.ascii_letters + string.digits + string.punctuation, min_size=4, max_size=60)


@given(_surroundings, _key_characters, _surroundings)
def test_any_openai_key_is_removed_from_any_text(before: str, key: str, after: str) -> None:
    assume(key not in before + after)
    assert key not in redact(f"{before} sk-admin-{key} {after}")


@given(_surroundings, _printable, _surroundings)
def test_any_given_secret_is_removed_from_any_text(before: str, secret: str, after: str) -> None:
    assume(secret not in "[redacted]" and "[redacted]" not in secret)
    assume(secret not in redact(before) + redact(after))
    assert secret not in redact(f"{before} {secret} {after}", [secret])


@given(
    _key_characters,
    st.integers(0, 12),
    st.integers(0, 8),
    st.sampled_from(["***", "*" * 20, "\u2026", "*\u2026", "..."]),
)
def test_masked_key_is_removed_completely(key: str, head: int, tail: int, between: str) -> None:
    shown = f"sk-{key[:head]}{between}{key[len(key) - tail :]}"
    assert redact(f"Incorrect API key provided: {shown}") == "Incorrect API key provided: [redacted]"


@pytest.mark.parametrize(
    "url",
    [
        "http://user:password@proxy.example:3128",
        "https://password@proxy.example",
        "postgresql://user:password@host/db",
        "http://user:pass%40word@proxy.example:3128/",
        "http://user:p@ssword@proxy.example:3128",
    ],
)
def test_credentials_in_a_url_are_removed_and_its_host_stays(url: str) -> None:
    text = redact(f"cannot connect to {url}")
    assert "word" not in text
    assert "user" not in text
    assert url.rpartition("@")[2].partition("/")[0] in text


def test_bearer_token_is_removed() -> None:
    assert "tok_123" not in redact("header b'Bearer tok_123'")
    assert "tok_123" not in redact("authorization: bearer  tok_123")


@pytest.mark.parametrize(
    "text",
    [
        "You have insufficient permissions for this operation. Missing scopes: api.usage.read.",
        "cannot connect to https://desk-api.example/v1",
        "the task-queue and the disk-cache are asked at https://api.example/v1",
        "Earliest supported start date: 2025-03-11 (UTC).",
    ],
)
def test_text_without_a_secret_is_unchanged(text: str) -> None:
    assert redact(text, ["sk-admin-something-else"]) == text


@given(st.text(max_size=2000))
def test_redacted_text_is_one_line_of_limited_length(text: str) -> None:
    redacted = redact(text)
    assert len(redacted) <= 500
    assert len(redacted.splitlines()) <= 1
    assert redacted == printable(redacted)


@given(st.integers(480, 520))
def test_secret_at_the_end_of_a_long_text_is_removed(length: int) -> None:
    assert "sk-admin" not in redact("x" * length + " sk-admin-abcdefgh", ["sk-admin-abcdefgh"])


_UNITS = [*'a./-*:@ "\\\u2026\u2022\x1b\u202e', "**", "**a", "a@", "a@.", "://a", "http://u:p@", "mail", '"mail":"']
_UNITS += ["sk-", "sk", "sk-a*** ", "Bearer ", "bearer", "Bearer\t", "API key provided: "]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("unit", _UNITS)
def test_text_of_any_shape_takes_linear_time(unit: str) -> None:
    """A quadratic pattern would take more than an hour for one of these texts; a linear one takes milliseconds."""
    text = unit * (400_000 // len(unit))
    for prefix in ("", "sk-", "Bearer ", "://"):
        assert len(redact(prefix + text, ["hunter22"])) <= 500
    assert len(neutralize(text)) <= 3 * len(text)
    scrub_name(text, emails=False)
    remove_addresses(f'"{text}"@'.encode())


def test_key_with_invisible_characters_is_removed() -> None:
    assert redact("refused: sk-ad\u200bmin-12\x003 pass\u202eword", ["password"]) == "refused: [redacted] 3 [redacted]"


def test_masked_word_after_a_key_is_removed_completely() -> None:
    assert redact('refused: sk-abc"def***ghi, sk-admin-1234 ***') == "refused: [redacted] [redacted] [redacted]"
