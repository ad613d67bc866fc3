"""Reads environment variables and text files of the user, and removes what shells and editors add to them.

Spaces, line breaks and a byte order mark around a value are not part of the value. An empty variable counts as unset.
All environment variables and all files of the user are read through this module.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

# U+FEFF is a byte order mark that was decoded as text. U+200B often comes with text that was copied from a web page.
_PADDING = re.compile(r"\A[\s\ufeff\u200b]+|[\s\ufeff\u200b]+\Z")
MAX_CHARACTERS = 2_000_000
"""The maximum length of a configuration file or of a file with a secret."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def strip_padding(text: str) -> str:
    """Return the text without spaces, line breaks and byte order marks at both ends."""
    return _PADDING.sub("", text)


def env_variable(name: str) -> str | None:
    """Return the value of an environment variable without padding, or None if the variable is unset or empty."""
    return strip_padding(os.environ.get(name, "")) or None


def read_text(path: Path) -> str:
    """Return the text of a file, decoded as in `open_text`.

    Raises OSError, also for a very large file, and UnicodeDecodeError if the file is not a text file.
    """
    with open_text(path) as file:
        text = file.read(MAX_CHARACTERS + 1)
    if len(text) > MAX_CHARACTERS:
        raise OSError(errno.EFBIG, f"it has more than {MAX_CHARACTERS:,} characters", str(path))
    return text


@contextmanager
def open_text(path: Path, *, newline: str | None = None) -> Iterator[IO[str]]:
    """Open a text file in UTF-8, or in UTF-16 if it begins with a UTF-16 byte order mark, as Windows programs write.

    `newline` has the meaning of the argument of `open`. Raises OSError. Reading raises UnicodeDecodeError if the file
    is not a text file.
    """
    with path.open("rb") as file:
        # utf-8-sig removes the byte order mark that Windows programs write in front of UTF-8.
        encoding = "utf-16" if file.peek(2)[:2] in _UTF_16 else "utf-8-sig"
        with io.TextIOWrapper(file, encoding=encoding, newline=newline) as text:
            yield text
