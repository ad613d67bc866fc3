"""Protects CSV files against formula injection: a spreadsheet must not run a name as a formula."""

from __future__ import annotations

# A spreadsheet evaluates a cell that begins with one of these characters. Some spreadsheets also remove a leading tab
# or carriage return, and evaluate the rest of the cell.
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(text: str) -> str:
    """Return the text with a leading apostrophe if a spreadsheet would evaluate it as a formula.

    Only text may be passed to this function, because the apostrophe would turn a negative number into text. Source:
    OWASP, "CSV Injection".
    """
    return f"'{text}" if text.startswith(_FORMULA_PREFIXES) else text
