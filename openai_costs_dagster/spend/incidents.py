"""Anomalies over their days: what is news about them, so that one that goes on is told once and not every day.

An incident begins with its first unusual day, is news again when it costs twice of what people know of, and ends
after two finished days without it. Where a cause is named finer or coarser the next day, it is the same incident.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.spend.detection.causes import contains
from openai_costs_dagster.spend.detection.panel import Series

QUIET_DAYS = 2
"""So many finished days without it end an incident; a pause that is shorter is none."""

_NEWS = 2  # times what people know of


class Unusual(NamedTuple):
    """An unusual day of a series, or of a line item's price; `impact` in US dollars, signed."""

    day: dt.date
    series: Series
    line_item: str | None
    impact: Decimal

    @property
    def direction(self) -> str:
        """Whether it costs more or less than usual: up or down."""
        return "up" if self.impact >= 0 else "down"


@dataclass
class Incident:
    """Days of one cause; `alerted_impact` is what a day costs as far as people know, in US dollars without sign."""

    series: Series
    line_item: str | None
    direction: str
    first_day: dt.date
    last_day: dt.date
    alerted_impact: Decimal
    announced: bool
    is_open: bool = True

    def goes_on(self, found: Unusual) -> bool:
        """Whether an unusual day belongs to it."""
        if self.line_item != found.line_item or self.direction != found.direction:
            return False
        near = self.first_day - ONE_DAY <= found.day <= self.last_day + (QUIET_DAYS + 1) * ONE_DAY
        return near and _is_same(self.series, found.series)


class News(NamedTuple):
    """Something to tell of an incident; `found` is the day that made it news, None for its end.

    `seen` says that it is to be recorded and not sent.
    """

    event: Literal["opened", "grown", "ended"]
    incident: Incident
    found: Unusual | None
    seen: bool


def follow(
    known: list[Incident],
    found: Iterable[Unusual],
    finished: Collection[dt.date],
    may_alert: Callable[[dt.date], bool],
    *,
    may_end: bool,
) -> list[News]:
    """What is new; changes `known` and adds new incidents to it.

    `finished` are the days that were judged and are over. Asking again with the same findings brings no news.
    """
    news = [
        one
        for unusual in sorted(found, key=lambda one: (one.day, -abs(one.impact), one.series))
        if (one := _noted(known, unusual, may_alert))
    ]
    for incident in known:
        quiet = {incident.last_day + number * ONE_DAY for number in range(1, QUIET_DAYS + 1)}
        if may_end and incident.is_open and quiet <= set(finished):
            incident.is_open = False
            if incident.announced:
                news.append(News("ended", incident, None, seen=False))
    return news


def _noted(known: list[Incident], found: Unusual, may_alert: Callable[[dt.date], bool]) -> News | None:
    impact, told = abs(found.impact), may_alert(found.day)
    incident = next((one for one in known if one.goes_on(found)), None)
    if incident is None:
        incident = Incident(found.series, found.line_item, found.direction, found.day, found.day, impact, told)
        known.append(incident)
        return News("opened", incident, found, seen=not told)
    incident.first_day = min(incident.first_day, found.day)
    incident.is_open = incident.is_open or found.day > incident.last_day
    incident.last_day = max(incident.last_day, found.day)
    if impact < _NEWS * incident.alerted_impact:
        return None
    incident.alerted_impact = impact
    incident.announced = incident.announced or told
    return News("grown", incident, found, seen=not told)


def _is_same(one: Series, other: Series) -> bool:
    """Whether they name one cause; of a whole organization's nothing finer is, for that could be anything."""
    if one == other:
        return True
    if not any(one[1:]) or not any(other[1:]):
        return False
    return contains(one, other) or contains(other, one)
