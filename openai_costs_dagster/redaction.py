"""Removes secrets from texts before they are logged, stored or shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

_KEY_SHAPED = re.compile(
    r"(?<![A-Za-z0-9])sk-[\w*.…-]+"  # a key of OpenAI, complete or partly masked
    r"|\bBearer\s+\S+"
    # A partly masked key is removed too, because its visible characters may identify the key.
    r"|\S*(?:\*{3}|…|•{3})\S*"
    r"|(?<=API key provided: )\S+",
    re.IGNORECASE,
)
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/\s]+@")
_MAX_LENGTH = 500
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL cannot store NUL and unpaired surrogates.


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without keys, without the given secrets and without credentials in URLs.

    The result is one line of at most 500 characters, and PostgreSQL can store it.
    """
    for secret in secrets:
        if len(secret) >= 4:  # Short secrets are not replaced, because they also occur within unrelated words.
            text = text.replace(secret, "[redacted]")
    text = _CREDENTIALS_IN_URL.sub("[redacted]@", _KEY_SHAPED.sub("[redacted]", text))
    text = " ".join(_UNSTORABLE.sub("\ufffd", text).split())
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…"
