"""Removes secrets from texts before they are logged, stored or shown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from openai_costs_dagster.display_text import printable

# Error texts may come from an attacker, so every pattern takes linear time: a match begins at a fixed text or at the
# start of a word, and no two repetitions in a row match the same characters.
_KEY_SHAPED = re.compile(
    r"(?<![A-Za-z0-9])sk-[\w*.…-]+"  # a key of OpenAI, complete or partly masked
    r"|\bBearer\s+\S+"
    r"|(?<=API key provided: )\S+",
    re.IGNORECASE,
)
# A partly masked key is removed too, because its visible characters may identify the key.
_MASKED_WORD = re.compile(r"(?<!\S)\S*?(?:\*{3}|…|•{3})\S*")
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/\s]+@")
_MAX_LENGTH = 500


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without keys, without the given secrets and without credentials in URLs.

    The result is one line of at most 500 printable characters, and PostgreSQL can store it.
    """
    # Invisible characters are removed first, because they could split a secret into parts that no pattern matches.
    text = printable(text)
    for secret in map(printable, secrets):
        if len(secret) >= 4:  # Short secrets are not replaced, because they also occur within unrelated words.
            text = text.replace(secret, "[redacted]")
    text = _CREDENTIALS_IN_URL.sub("[redacted]@", _KEY_SHAPED.sub("[redacted]", _MASKED_WORD.sub("[redacted]", text)))
    text = " ".join(text.split())
    return text if len(text) <= _MAX_LENGTH else text[: _MAX_LENGTH - 1] + "…"
