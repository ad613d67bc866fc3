"""Decides whether standard output and standard error may receive escape sequences."""

from __future__ import annotations

import os
from typing import IO


def has_styles(file: IO[str]) -> bool:
    """Return whether bold text and colors may be written to a file: only to a terminal that supports them."""
    return file.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
