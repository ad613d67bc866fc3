"""Decides whether standard output and standard error may receive escape sequences."""

from __future__ import annotations

from typing import IO

from openai_costs_dagster.user_input import env_variable


def has_styles(file: IO[str]) -> bool:
    """Return whether bold text and colors may be written to a file: only to a terminal that supports them."""
    return file.isatty() and not env_variable("NO_COLOR") and env_variable("TERM") != "dumb"
