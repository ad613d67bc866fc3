"""What a spreadsheet must not take for a formula: names of projects, users and line items are hostile text."""

from __future__ import annotations

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(text: str) -> str:
    """The text, with an apostrophe in front where a spreadsheet would run it. For text alone, never for numbers."""
    return f"'{text}" if text.startswith(_FORMULA) else text
