"""What Grafana does to a query before PostgreSQL sees it: variables first, then macros.

As its PostgreSQL data source does (Grafana 10 and 11): ``${name:sqlstring}`` puts values into quotes and doubles
quotes in them; a macro is ``$__name(argument)`` whose argument ends at the first closing parenthesis.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)\]\]|\$(?!__)(\w*[A-Za-z]\w*)")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")


class NotExpanded(Exception):
    """Grafana would refuse this, or put in what is not safe."""


@dataclass(frozen=True)
class TimeRange:
    """What is chosen at the top right."""

    start: dt.datetime
    end: dt.datetime


def expand(query: str, values: Mapping[str, Sequence[str]], chosen: TimeRange) -> str:
    """The query that PostgreSQL gets. Raises NotExpanded."""
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
