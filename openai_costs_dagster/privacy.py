"""Takes names and addresses of people out of answers before they are stored.

Works on the bytes, so that what is kept is otherwise what the API sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial

_ADDRESS_FIELD = re.compile(rb'("[^"\\]*e?mail[^"\\]*"\s*:\s*)"(?:[^"\\]|\\.)*"')
_ADDRESS = re.compile(rb'[^\s"<>@\\]+@[^\s"<>@\\]+\.[^\s"<>@\\]+')
_FLAT_ROW = re.compile(rb'\{(?:[^{}"]|"(?:[^"\\]|\\.)*"|\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\})*\}')
_PERSONAL = re.compile(rb'("user_(?:email|name)"\s*:\s*)"(?:[^"\\]|\\.)*"')


def without_addresses(raw: bytes) -> bytes:
    """The same JSON with null for every address field, and without any other address in it."""
    if b"@" not in raw and b"mail" not in raw:
        return raw
    return _ADDRESS.sub(b"...", _ADDRESS_FIELD.sub(rb"\1null", raw))


def without_users(raw: bytes, users: Collection[str]) -> bytes:
    """The same JSON, where rows of these users carry no name or address; the ids stay."""
    marks = [b'"' + user.encode() + b'"' for user in users]
    if not any(mark in raw for mark in marks):
        return raw
    start = raw.find(b"[") + 1  # a bucket's rows stand in its list of results

    def forgotten(found: re.Match[bytes]) -> bytes:
        row = found[0]
        return _PERSONAL.sub(rb"\1null", row) if any(mark in row for mark in marks) else row

    return raw[:start] + _FLAT_ROW.sub(forgotten, raw[start:])


def cleaner(*, emails: bool, forgotten: Collection[str]) -> Callable[[bytes], bytes]:
    """What answers go through before they are stored: without all addresses, or without those of some users."""
    if not emails:
        return without_addresses
    return partial(without_users, users=frozenset(forgotten)) if forgotten else bytes


def is_address(text: str | None) -> bool:
    """Whether a name is an address."""
    return bool(text and _ADDRESS.fullmatch(text.encode()))
