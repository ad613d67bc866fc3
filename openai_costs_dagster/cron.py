"""Tells whether a text is a cron expression: Dagster would say so only when it is too late to name the line."""

from __future__ import annotations

import calendar
import re

_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def is_cron(text: str) -> bool:
    """Whether a text is a cron expression of five numeric fields with lists, ranges and steps, and comes ever."""
    fields = text.split()
    if len(fields) != len(_CRON_RANGES):
        return False
    values = [_cron_values(field, *limits) for field, limits in zip(fields, _CRON_RANGES, strict=True)]
    if not all(values):
        return False
    longest_month = max(calendar.monthrange(2024, month)[1] for month in values[3])
    return fields[4] != "*" or min(values[2]) <= longest_month


def _cron_values(field: str, least: int, most: int) -> set[int]:
    """The numbers that a field names; none where it is no field."""
    values: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/([1-9]\d?))?", part)
        if not match:
            return set()
        first = int(match[1]) if match[1] else least
        last = int(match[2]) if match[2] else (most if not match[1] or match[3] else first)
        if not least <= first <= last <= most:
            return set()
        values.update(range(first, last + 1, int(match[3] or 1)))
    return values
