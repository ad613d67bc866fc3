"""Rows as the lines that PostgreSQL's ``COPY ... FROM stdin`` reads in its text format.

Written here because it is what most of a load's own time went to: the same few hundred project, key and line item
names stand in every row, and each is escaped once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from openai_costs_dagster.cost_records import CostRow

_NULL = r"\N"
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


class CopyText:
    """Writes lines and remembers the text values of one organization, escaped."""

    def __init__(self) -> None:
        self._escaped = _Escaped({None: _NULL})

    def lines(self, day: dt.date, rows: Iterable[CostRow]) -> list[str]:
        """One line per row: the day and then the row's fields, in their order."""
        text = self._escaped
        return [
            f"{day}\t{text[project]}\t{text[user]}\t{text[api_key]}\t{text[line_item]}\t{text[currency]}\t{text[unit]}"
            f"\t{_NULL if amount is None else amount}\t{_NULL if quantity is None else quantity}\n"
            for project, user, api_key, line_item, currency, unit, amount, quantity in rows
        ]


class _Escaped(dict[str | None, str]):
    def __missing__(self, value: str | None) -> str:
        text = self[value] = _NULL if value is None else value.translate(_ESCAPES)
        return text
