"""Keeps secrets out of every text that is logged, stored or shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

_KEY_SHAPED = re.compile(
    r"(?<![A-Za-z0-9])sk-[\w*.…-]+"  # OpenAI's own, whole or with a part blotted out
    r"|\bBearer\s+\S+"
    r"|\S*(?:\*{3}|…|•{3})\S*"  # whatever an answer blots out was secret in whole
    r"|(?<=API key provided: )\S+",
    re.IGNORECASE,
)
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/\s]+@")
_LONGEST_MESSAGE = 500
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # no database stores NUL or half a surrogate pair


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without keys, given secrets or credentials in URLs, on one line, storable, and of bounded length."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "[redacted]")
    text = _CREDENTIALS_IN_URL.sub("[redacted]@", _KEY_SHAPED.sub("[redacted]", text))
    text = " ".join(_UNSTORABLE.sub("\ufffd", text).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
