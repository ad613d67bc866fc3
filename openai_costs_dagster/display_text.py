"""Removes invisible and controlling characters from untrusted text before the text is shown.

Names and error texts of the API may contain escape sequences, line breaks and characters that reorder the text around
them. In a terminal, a log or a chat they could hide or forge other text. The database keeps every text unchanged.
"""

from __future__ import annotations

import re

# The zero-width joiner and non-joiner (U+200C, U+200D) stay, because Persian, Indic scripts and emoji need them.
_FORMAT = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROL_EXCEPT_NEWLINE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATE = re.compile("[\ud800-\udfff]")  # An unpaired surrogate cannot be encoded, so printing it would fail.


def printable(text: str, *, lines: bool = False) -> str:
    """Return the text in one line, without invisible and controlling characters. With `lines`, line breaks stay.

    A control character or line separator becomes a space. Bidirectional marks, overrides and isolates, zero-width
    spaces and other invisible format characters are deleted. An unpaired surrogate becomes U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    control = _CONTROL_EXCEPT_NEWLINE if lines else _CONTROL
    return _SURROGATE.sub("\ufffd", control.sub(" ", _FORMAT.sub("", text)))
