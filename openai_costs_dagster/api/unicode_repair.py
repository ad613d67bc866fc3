"""Replaces the characters of an answer that no database stores: NUL and unpaired surrogates become U+FFFD.

JSON can spell both as escapes. A name that was cut in the middle of a surrogate pair is valid JSON, but its last
character is none; PostgreSQL's `text` and `jsonb` accept neither. Everything else stays as the API sent it.
"""

from __future__ import annotations

import re

_FIRST_HALF, _SECOND_HALF = rb"u[dD][89abAB][0-9a-fA-F]{2}", rb"u[dD][c-fC-F][0-9a-fA-F]{2}"
_PAIR = _FIRST_HALF + rb"\\" + _SECOND_HALF
# Every escape is matched, so that a backslash which is itself escaped begins none.
_ESCAPE = re.compile(rb"\\(?:(" + _PAIR + rb"|u(?!0000|[dD][89a-fA-F])|[^u])|u.{4})", re.DOTALL)
_SUSPECT = (rb"\u0000", rb"\ud", rb"\uD")
_ENCODED_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")


def with_storable_escapes(body: bytes) -> bytes:
    """The same JSON with an escaped U+FFFD for every escaped NUL and unpaired surrogate."""
    if b"\\u" not in body or not any(escape in body for escape in _SUSPECT):
        return body
    return _ESCAPE.sub(lambda found: found[0] if found[1] else rb"\ufffd", body)


def as_utf8(body: bytes) -> bytes:
    """The same bytes where they are UTF-8; otherwise with U+FFFD for each part that is not."""
    if body.isascii():
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        return _ENCODED_HALF.sub("\ufffd".encode(), body).decode("utf-8", "replace").encode()
    return body


def storable(body: bytes) -> bytes:
    """The same JSON in UTF-8 with U+FFFD for everything that is no character. Needs several times the body's memory."""
    return as_utf8(with_storable_escapes(body))
