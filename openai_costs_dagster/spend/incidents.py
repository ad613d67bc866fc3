"""Anomalies over their days: what is news about them, so that one that goes on is told once and not every day.

An incident begins with its first unusual day, is news again when it costs twice of what people know of, and ends
after two finished days without it. Where a cause is named finer or coarser the next day, it is the same incident.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Literal, NamedTuple

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.records import Direction, Incident, SeriesKey
from openai_costs_dagster.spend.detection.root_causes import contains, overlap

QUIET_DAYS = 2
"""So many finished days without it end an incident; a pause that is shorter is none."""

GROWTH_FACTOR = 2  # times what people know of
_SAME_DAY_GROWTH_FACTOR = 5  # it was told when it had only begun


class UnusualDay(NamedTuple):
    """An unusual day of a series, or of a line item's price; `impact` in US dollars, signed."""

    day: dt.date
    series: SeriesKey
    line_item: str | None
    impact: Decimal

    @property
    def direction(self) -> Direction:
        """Whether it costs more or less than usual: up or down."""
        return "up" if self.impact >= 0 else "down"


class IncidentEvent(NamedTuple):
    """Something to tell of an incident; `found` is the day that made it news, None for its end.

    `seen` says that it is to be recorded and not sent.
    """

    event: Literal["opened", "grown", "ended"]
    incident: Incident
    found: UnusualDay | None
    acknowledged: bool


def update_incidents(
    known: list[Incident],
    found: Iterable[UnusualDay],
    today: dt.date,
    evaluated_to: dt.date,
    may_alert: Callable[[dt.date], bool],
    *,
    may_end: bool,
) -> list[IncidentEvent]:
    """What is new; changes `known` and adds new incidents to it.

    All days up to `evaluated_to` were judged, now or before; `today` is not over. Asking again with the same findings
    brings no news.
    """
    by_day: dict[dt.date, list[UnusualDay]] = {}
    for unusual in found:
        by_day.setdefault(unusual.day, []).append(unusual)
    news: list[IncidentEvent] = []
    for day in sorted(by_day):
        of_day = sorted(by_day[day], key=lambda one: (-abs(one.impact), one.series, one.line_item or ""))
        news += _of_day(known, of_day, may_alert, is_over=day < today)
    for incident in known:
        is_quiet = incident.last_day + QUIET_DAYS * ONE_DAY <= min(evaluated_to, today - ONE_DAY)
        if may_end and incident.is_open and is_quiet:
            incident.is_open = False
            if incident.announced:
                news.append(IncidentEvent("ended", incident, None, acknowledged=False))
    return news


def _of_day(
    known: list[Incident], found: list[UnusualDay], may_alert: Callable[[dt.date], bool], *, is_over: bool
) -> list[IncidentEvent]:
    places = {one: next((each for each in known if _continues(each, one)), None) for one in found}
    going_on = {id(incident) for incident in places.values() if incident}
    for one in found:
        if places[one] is None:
            renamed = (each for each in known if id(each) not in going_on and _is_named_coarser_by(each, one))
            places[one] = next(renamed, None)
    news = []
    for one in found:
        announced = may_alert(one.day)
        incident = places[one] or next((each for each in known if _continues(each, one)), None)
        if incident is None:
            incident = _open_incident(one, announced=announced)
            known.append(incident)
            news.append(IncidentEvent("opened", incident, one, acknowledged=not announced))
        elif _extend(incident, one, announced=announced, is_over=is_over):
            news.append(IncidentEvent("grown", incident, one, acknowledged=not announced))
    return news


def _continues(incident: Incident, found: UnusualDay) -> bool:
    """Whether an unusual day belongs to it, by its series; a later day than its end does not."""
    if incident.line_item != found.line_item or incident.direction != found.direction:
        return False
    longest = incident.last_day + (QUIET_DAYS + 1) * ONE_DAY if incident.is_open else incident.last_day
    return incident.first_day - ONE_DAY <= found.day <= longest and _is_same(incident.series, found.series)


def _is_named_coarser_by(incident: Incident, found: UnusualDay) -> bool:
    """Whether the day after it a coarser series is as far off as it was: its cause under another name."""
    return (
        incident.is_open
        and incident.line_item == found.line_item
        and incident.direction == found.direction
        and found.day == incident.last_day + ONE_DAY
        and overlap(incident.series, found.series)
        and _dimension_count(found.series) < _dimension_count(incident.series)
        and any(found.series[1:])
        and abs(found.impact) < GROWTH_FACTOR * incident.alerted_impact
    )


def _open_incident(found: UnusualDay, *, announced: bool) -> Incident:
    return Incident(
        found.series,
        found.line_item,
        found.direction,
        first_day=found.day,
        last_day=found.day,
        alerted_impact=abs(found.impact),
        alerted_day=found.day,
        announced=announced,
    )


def _extend(incident: Incident, found: UnusualDay, *, announced: bool, is_over: bool) -> bool:
    """Takes a day in; whether that is news. A day that is announced while it grows is expected to grow."""
    impact, is_same_day = abs(found.impact), found.day == incident.alerted_day
    incident.first_day, incident.last_day = min(incident.first_day, found.day), max(incident.last_day, found.day)
    if impact >= (_SAME_DAY_GROWTH_FACTOR if is_same_day else GROWTH_FACTOR) * incident.alerted_impact:
        incident.alerted_impact, incident.alerted_day = impact, found.day
        incident.announced = incident.announced or announced
        return True
    if is_same_day and is_over:
        incident.alerted_impact = max(impact, incident.alerted_impact)
    return False


def _dimension_count(series: SeriesKey) -> int:
    return sum(map(bool, series[1:]))


def _is_same(one: SeriesKey, other: SeriesKey) -> bool:
    """Whether they name one cause; of a whole organization's nothing finer is, for that could be anything."""
    if one == other:
        return True
    if not any(one[1:]) or not any(other[1:]):
        return False
    return contains(one, other) or contains(other, one)
