"""Removes names and email addresses of people from responses before the responses are stored.

The functions edit the bytes of a response, so that all other bytes stay exactly as OpenAI sent them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from openai_costs_dagster.personal_data import Person, forget

# The lookahead finds "mail" once per name. Without it, a text that repeats "mail" takes quadratic time.
_ADDRESS_FIELD = re.compile(rb'("(?=[^"\\]*mail)[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*"')
# The lookbehind lets a match begin only at the start of a word. Otherwise a long word takes quadratic time.
_ADDRESS = re.compile(rb'(?<![^\s"<>()@\\])[^\s"<>()@\\]+@[^\s"<>()@\\]+\.[^\s"<>()@\\]+')
# A backslash begins an escape only after an even number of backslashes. Otherwise it is an escaped backslash.
_AT = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0040")


def remove_addresses(raw: bytes) -> bytes:
    """Return the same JSON with null in every email field and ``...`` in place of all other email addresses."""
    # JSON may write the character @ as the escape \u0040, which the patterns for addresses would not match.
    if b"u0040" in raw:
        raw = _AT.sub(rb"\1@", raw)
    if b"@" not in raw and b"mail" not in raw:
        return raw
    return _ADDRESS.sub(b"...", _ADDRESS_FIELD.sub(rb"\1null", raw))


def remove_users(raw: bytes, users: Collection[str]) -> bytes:
    """Return the same JSON without the names and email addresses of these users, but with the user ids."""
    # With surrogateescape, bytes that are not valid UTF-8 survive decoding and encoding unchanged.
    text = raw.decode("utf-8", "surrogateescape")
    for user in users:
        text = forget(text, Person(user)).text
    return text.encode("utf-8", "surrogateescape")


def response_cleaner(*, emails: bool, forgotten: Collection[str]) -> Callable[[bytes], bytes]:
    """Return a function that cleans a response before storage.

    The function removes the names and addresses of the `forgotten` users, given by id. Unless `emails` is true, the
    function also removes all email addresses.
    """
    users = frozenset(forgotten)

    def clean(raw: bytes) -> bytes:
        raw = remove_users(raw, users) if users else raw
        return raw if emails else remove_addresses(raw)

    return clean


def scrub_name(name: str | None, *, emails: bool) -> str | None:
    """Return a name for storage, or None if nothing of the name may be stored.

    Unless `emails` is true, email addresses in the name become ``...``. NUL, which PostgreSQL cannot store, becomes
    U+FFFD.
    """
    if name is None:
        return None
    name = name.replace("\0", "\ufffd")
    if emails or "@" not in name:
        return name
    remainder = _ADDRESS.sub(b"...", name.encode("utf-8", "replace")).decode("utf-8", "replace")
    # A name that was only an address has no other part that could be shown.
    return None if remainder == "..." else remainder
