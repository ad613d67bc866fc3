"""Environment variables and text files that people provide, without what shells and editors add to them.

Everything that this program reads from its environment or from a file of the user comes through here: blanks, line
breaks and a byte order mark around a value never belong to it, and an empty variable equals an unset one.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

# U+FEFF is a byte order mark that was decoded as text; U+200B comes with text copied from web pages.
_PADDING = re.compile(r"\A[\s\ufeff\u200b]+|[\s\ufeff\u200b]+\Z")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def strip_padding(text: str) -> str:
    """The text without blanks, line breaks and byte order marks around it."""
    return _PADDING.sub("", text)


def env_variable(name: str) -> str | None:
    """The trimmed value of an environment variable, or None where it is unset or empty."""
    return strip_padding(os.environ.get(name, "")) or None


def read_text(path: Path) -> str:
    """A whole text file; see `open_text`. Raises OSError, or UnicodeDecodeError where it is no text."""
    with open_text(path) as file:
        return file.read()


@contextmanager
def open_text(path: Path, *, newline: str | None = None) -> Iterator[IO[str]]:
    """A text file in UTF-8, or in UTF-16 where it begins with that byte order mark, as Windows programs write it.

    `newline` is that of `open`. Raises OSError; reading raises UnicodeDecodeError where it is no text.
    """
    with path.open("rb") as file:
        encoding = "utf-16" if file.peek(2)[:2] in _UTF_16 else "utf-8-sig"
        with io.TextIOWrapper(file, encoding=encoding, newline=newline) as text:
            yield text
