"""Groups unusual days by their cause into incidents, and determines the events for which alerts are recorded.

With incidents, a cause that lasts for days is alerted once, and not every day. An incident opens with its first unusual
day. An incident has grown when its impact is `GROWTH_FACTOR` times the impact at the last alert. An incident ends after
`QUIET_DAYS` finished days without an unusual day. If the finding of the next day names the same cause by a series with
more or fewer dimensions, the incident continues.
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
"""The number of finished days without an unusual day after which an incident ends.

After a shorter pause, the incident continues.
"""

GROWTH_FACTOR = 2
"""The multiple of the impact at the last alert from which an incident has grown."""

# A day that was alerted in its first hours will cost more by its end anyway. A second alert about the same day
# therefore needs a much larger growth.
_SAME_DAY_GROWTH_FACTOR = 5


class UnusualDay(NamedTuple):
    """A UTC day on which the spend of a series, or the unit price of a line item, was unusual."""

    day: dt.date
    series: SeriesKey
    line_item: str | None
    """The line item whose unit price changed, or None for unusual spend."""
    impact: Decimal
    """The actual spend minus the expected spend, in US dollars."""

    @property
    def direction(self) -> Direction:
        """The direction of the deviation: ``up`` if the day cost more than expected, ``down`` if it cost less."""
        return "up" if self.impact >= 0 else "down"


class IncidentEvent(NamedTuple):
    """The opening, growth or end of an incident, for which an alert is recorded."""

    event: Literal["opened", "grown", "ended"]
    incident: Incident
    unusual_day: UnusualDay | None
    """The unusual day that caused the event, or None for the end of an incident."""
    acknowledged: bool
    """Whether the alert is only recorded and not sent."""


def update_incidents(
    incidents: list[Incident],
    unusual_days: Iterable[UnusualDay],
    today: dt.date,
    evaluated_to: dt.date,
    may_alert: Callable[[dt.date], bool],
    *,
    may_end: bool,
) -> list[IncidentEvent]:
    """Add unusual days to their incidents, end incidents without new unusual days, and return the events.

    `incidents` is changed in place and also receives new incidents. All days up to `evaluated_to` must have been
    evaluated, in this run or before. `today` is the current UTC day, which is not over. `may_alert` decides for each
    day whether its events are sent as alerts or only recorded. A second call with the same unusual days returns no
    events.
    """
    by_day: dict[dt.date, list[UnusualDay]] = {}
    for unusual in unusual_days:
        by_day.setdefault(unusual.day, []).append(unusual)
    events: list[IncidentEvent] = []
    for day in sorted(by_day):
        largest_first = sorted(by_day[day], key=lambda one: (-abs(one.impact), one.series, one.line_item or ""))
        events += _add_day(incidents, largest_first, may_alert, is_over=day < today)
    for incident in incidents:
        is_quiet = incident.last_day + QUIET_DAYS * ONE_DAY <= min(evaluated_to, today - ONE_DAY)
        if may_end and incident.is_open and is_quiet:
            incident.is_open = False
            # If no alert about the incident was sent, an alert about its end would confuse its recipients.
            if incident.announced:
                events.append(IncidentEvent("ended", incident, None, acknowledged=False))
    return events


def _add_day(
    incidents: list[Incident], unusual_days: list[UnusualDay], may_alert: Callable[[dt.date], bool], *, is_over: bool
) -> list[IncidentEvent]:
    """Add the unusual days of one UTC day, the largest impact first, to their incidents."""
    matches = {unusual: _find(incidents, unusual) for unusual in unusual_days}
    # An incident that continues under its own series is not also continued by a series with fewer dimensions. The
    # series with fewer dimensions then has a cause of its own.
    continuing = {id(incident) for incident in matches.values() if incident}
    for unusual in unusual_days:
        if matches[unusual] is None:
            coarser = (
                incident
                for incident in incidents
                if id(incident) not in continuing and _continues_as_coarser(incident, unusual)
            )
            matches[unusual] = next(coarser, None)
    events = []
    for unusual in unusual_days:
        announced = may_alert(unusual.day)
        # The incidents are searched again, because a finding with a larger impact may have opened the incident in this
        # loop.
        incident = matches[unusual] or _find(incidents, unusual)
        if incident is None:
            incident = _open_incident(unusual, announced=announced)
            incidents.append(incident)
            events.append(IncidentEvent("opened", incident, unusual, acknowledged=not announced))
        elif _extend(incident, unusual, announced=announced, is_over=is_over):
            events.append(IncidentEvent("grown", incident, unusual, acknowledged=not announced))
    return events


def _find(incidents: Iterable[Incident], unusual: UnusualDay) -> Incident | None:
    return next((incident for incident in incidents if _continues(incident, unusual)), None)


def _continues(incident: Incident, unusual: UnusualDay) -> bool:
    """Return whether an unusual day belongs to an incident, by its series, direction and date."""
    if incident.line_item != unusual.line_item or incident.direction != unusual.direction:
        return False
    latest = incident.last_day + (QUIET_DAYS + 1) * ONE_DAY if incident.is_open else incident.last_day
    return incident.first_day - ONE_DAY <= unusual.day <= latest and _is_same_cause(incident.series, unusual.series)


def _continues_as_coarser(incident: Incident, unusual: UnusualDay) -> bool:
    """Return whether a series with fewer dimensions continues an incident on its next day.

    The series continues the incident if its impact is similar, because the cause is then likely to be the same.
    """
    return (
        incident.is_open
        and incident.line_item == unusual.line_item
        and incident.direction == unusual.direction
        and unusual.day == incident.last_day + ONE_DAY
        and overlap(incident.series, unusual.series)
        and len(unusual.series.dimensions) < len(incident.series.dimensions)
        and bool(unusual.series.dimensions)
        and abs(unusual.impact) < GROWTH_FACTOR * incident.alerted_impact
    )


def _open_incident(unusual: UnusualDay, *, announced: bool) -> Incident:
    return Incident(
        unusual.series,
        unusual.line_item,
        unusual.direction,
        first_day=unusual.day,
        last_day=unusual.day,
        alerted_impact=abs(unusual.impact),
        alerted_day=unusual.day,
        announced=announced,
    )


def _extend(incident: Incident, unusual: UnusualDay, *, announced: bool, is_over: bool) -> bool:
    """Add an unusual day to an incident, and return whether the incident has grown."""
    impact, is_same_day = abs(unusual.impact), unusual.day == incident.alerted_day
    incident.first_day = min(incident.first_day, unusual.day)
    incident.last_day = max(incident.last_day, unusual.day)
    if impact >= (_SAME_DAY_GROWTH_FACTOR if is_same_day else GROWTH_FACTOR) * incident.alerted_impact:
        incident.alerted_impact, incident.alerted_day = impact, unusual.day
        incident.announced = incident.announced or announced
        return True
    if is_same_day and is_over:
        # The alert was sent before the day was over. Later days are compared with the impact of the whole day.
        incident.alerted_impact = max(impact, incident.alerted_impact)
    return False


def _is_same_cause(one: SeriesKey, other: SeriesKey) -> bool:
    """Return whether two series name the same cause: they are equal, or one contains the other.

    The total of the organization contains every series, so it is the same cause only as itself.
    """
    if one == other:
        return True
    if not one.dimensions or not other.dimensions:
        return False
    return contains(one, other) or contains(other, one)
