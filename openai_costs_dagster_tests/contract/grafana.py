"""Expands the variables and macros of a query as Grafana does before it sends the query to PostgreSQL.

The rules are those of the PostgreSQL data source of Grafana 10 and 11. Variables are expanded before macros.
``${name:sqlstring}`` quotes each value and doubles the quotes inside it. The argument of a macro ``$__name(argument)``
ends at the first closing parenthesis.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)\]\]|\$(?!__)(\w*[A-Za-z]\w*)")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")


class NotExpanded(Exception):
    """The error for a variable or macro that Grafana rejects or expands without quotes."""


@dataclass(frozen=True)
class TimeRange:
    """The time range that is selected in the dashboard."""

    start: dt.datetime
    end: dt.datetime


def expand(query: str, values: Mapping[str, Sequence[str]], chosen: TimeRange) -> str:
    """Return the query that Grafana sends to PostgreSQL. Raises `NotExpanded` for unsafe variables."""
    return _MACRO.sub(lambda found: _macro(found, chosen), _VARIABLE.sub(lambda found: _variable(found, values), query))


def _variable(found: re.Match[str], values: Mapping[str, Sequence[str]]) -> str:
    name, form = found[1], found[2]
    if form != "sqlstring":
        raise NotExpanded(f"{found[0]} stands there without :sqlstring")
    return ",".join("'" + value.replace("'", "''") + "'" for value in values[name])


def _macro(found: re.Match[str], chosen: TimeRange) -> str:
    name, argument = found[1], found[2].strip()
    start, end = (f"'{moment.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}Z'" for moment in (chosen.start, chosen.end))
    match name:
        case "__timeFilter":
            return f"{argument} BETWEEN {start} AND {end}"
        case "__timeFrom":
            return start
        case "__timeTo":
            return end
    raise NotExpanded(f"${name} is a macro that these dashboards do not use")
