"""Takes names and addresses of people out of answers before they are stored.

Works on the bytes, so that what is kept is otherwise what the API sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from openai_costs_dagster.personal_data import Person, forget

_ADDRESS_FIELD = re.compile(rb'("[^"\\]*e?mail[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*"')
# An address begins where a word does: without the lookbehind, a long word took time with the square of its length.
_ADDRESS = re.compile(rb'(?<![^\s"<>()@\\])[^\s"<>()@\\]+@[^\s"<>()@\\]+\.[^\s"<>()@\\]+')
_AT = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0040")


def remove_addresses(raw: bytes) -> bytes:
    """The same JSON with null for every address field, and without any other address in it."""
    if b"u0040" in raw:
        raw = _AT.sub(rb"\1@", raw)
    if b"@" not in raw and b"mail" not in raw:
        return raw
    return _ADDRESS.sub(b"...", _ADDRESS_FIELD.sub(rb"\1null", raw))


def remove_users(raw: bytes, users: Collection[str]) -> bytes:
    """The same JSON, where rows of these users carry no name or address; the ids stay."""
    text = raw.decode("utf-8", "surrogateescape")
    for user in users:
        text = forget(text, Person(user)).text
    return text.encode("utf-8", "surrogateescape")


def response_cleaner(*, emails: bool, forgotten: Collection[str]) -> Callable[[bytes], bytes]:
    """What answers go through before they are stored: without those who are forgotten, and without all addresses."""
    users = frozenset(forgotten)

    def cleaned(raw: bytes) -> bytes:
        raw = remove_users(raw, users) if users else raw
        return raw if emails else remove_addresses(raw)

    return cleaned


def scrub_name(name: str | None, *, emails: bool) -> str | None:
    """A name as it may be kept: without an address in it where none is wanted, and as PostgreSQL can hold it."""
    if name is None:
        return None
    name = name.replace("\0", "\ufffd")
    if emails or "@" not in name:
        return name
    rest = _ADDRESS.sub(b"...", name.encode("utf-8", "replace")).decode("utf-8", "replace")
    return None if rest == "..." else rest
