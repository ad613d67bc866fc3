"""Escaping of text in CSV files against formula injection."""

from __future__ import annotations

# A spreadsheet evaluates a cell that begins with one of these characters. Tab and carriage return are listed because
# some spreadsheets remove them and then evaluate the rest of the cell.
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def escape_formula(text: str) -> str:
    """Return the text with a leading apostrophe if a spreadsheet would evaluate it as a formula.

    Only names and labels may be escaped, because the apostrophe would turn a negative number into text.
    Source: OWASP, "CSV Injection".
    """
    return f"'{text}" if text.startswith(_FORMULA_PREFIXES) else text
