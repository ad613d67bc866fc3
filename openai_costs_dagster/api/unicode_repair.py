"""Replaces the characters of a response that PostgreSQL cannot store with the replacement character U+FFFD.

JSON can contain NUL and unpaired surrogates as escapes, for example in a name that was cut in the middle of an emoji.
PostgreSQL's types `text` and `jsonb` reject both. All other characters stay as the API sent them.
"""

from __future__ import annotations

import re

_HIGH_SURROGATE, _LOW_SURROGATE = rb"u[dD][89abAB][0-9a-fA-F]{2}", rb"u[dD][c-fC-F][0-9a-fA-F]{2}"
_PAIR = _HIGH_SURROGATE + rb"\\" + _LOW_SURROGATE
# The pattern matches every escape, storable or not. Otherwise the second backslash of an escaped backslash would be
# mistaken for the beginning of an escape.
_ESCAPE = re.compile(rb"\\(?:(" + _PAIR + rb"|u(?!0000|[dD][89a-fA-F])|[^u])|u.{4})", re.DOTALL)
_SUSPECT = (rb"\u0000", rb"\ud", rb"\uD")
_UTF8_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")


def repair_escapes(body: bytes) -> bytes:
    r"""Return the same JSON with ``\ufffd`` instead of each escaped NUL and each escaped unpaired surrogate."""
    # Nearly all pages contain no such escape, and searching a page is much faster than the substitution.
    if b"\\u" not in body or not any(escape in body for escape in _SUSPECT):
        return body
    return _ESCAPE.sub(lambda found: found[0] if found[1] else rb"\ufffd", body)


def repair_utf8(body: bytes) -> bytes:
    """Return the same bytes with U+FFFD instead of each sequence that is not valid UTF-8."""
    if body.isascii():
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        # A surrogate takes three bytes, for which Python alone would insert three replacement characters.
        return _UTF8_SURROGATE.sub("\ufffd".encode(), body).decode("utf-8", "replace").encode()
    return body


def repair_text(body: bytes) -> bytes:
    """Return the same JSON as valid UTF-8 with U+FFFD for everything that PostgreSQL cannot store.

    Needs several times the memory of the body.
    """
    return repair_utf8(repair_escapes(body))
