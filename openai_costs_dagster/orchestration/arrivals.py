"""Whether the days that should be here are here: looked at by the clock, for where nothing runs no run can tell."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.cron import next_tick
from openai_costs_dagster.days import ONE_DAY, DayRange, utc_midnight
from openai_costs_dagster.orchestration import names
from openai_costs_dagster.warehouse import outbox, reading, troubles
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.troubles import Trouble

DAYS = "arrivals"
GRACE = dt.timedelta(hours=3)
"""How long after its daily refresh a day may be missing."""


def latest_due(cron: str, now: dt.datetime) -> dt.date:
    """The newest day that should be stored by now: its daily refresh was due `GRACE` ago."""
    day = now.date() - ONE_DAY
    while next_tick(cron, utc_midnight(day + ONE_DAY)) + GRACE > now:
        day -= ONE_DAY
    return day


def look(connection: Connection, configuration: Configuration, now: dt.datetime) -> dict[str, tuple[dt.date, bool]]:
    """By organization that was ever read: the newest day that is due, and whether it is here. Tells what is news."""
    due = latest_due(configuration.refresh.cron, now)
    found = {}
    for organization in configuration.organizations.values():
        last = reading.last_stored_day(connection, organization.name)
        if last is not None:
            is_here = not reading.missing_days(connection, organization.name, DayRange(due, due))
            found[organization.name] = due, is_here
            with connection.transaction():
                _tell(connection, organization, due, last, now, is_here=is_here)
    return found


def _tell(
    connection: Connection,
    organization: Organization,
    due: dt.date,
    last: dt.date,
    now: dt.datetime,
    *,
    is_here: bool,
) -> None:
    known = troubles.find(connection, organization.name, DAYS)
    if not is_here and known is None:
        said = f"{due} should be here since its daily refresh; the newest stored day is {last}. Is the daemon running?"
        trouble = Trouble(DAYS, "missing", said, "medium", [due], now, 1, now)
        troubles.keep(connection, organization.name, trouble)
        outbox.record(connection, _alert(organization.name, trouble, "failed", "days stopped arriving"), now)
    elif is_here and known:
        troubles.end(connection, organization.name, DAYS)
        said = f"{known.days[0]} and all days up to {last} arrived."
        back = Trouble(DAYS, "missing", said, "medium", known.days, known.opened_at, 1, now)
        outbox.record(connection, _alert(organization.name, back, "recovered", "days arrive again"), now)


def _alert(organization: str, trouble: Trouble, event: str, title: str) -> outbox.Alert:
    return outbox.Alert(
        dedup_key=f"arrivals/{organization}/{trouble.opened_at.isoformat()}/{event}",
        kind="sync_failure",
        event=event,
        severity=trouble.severity,
        title=f"{organization}: {title}",
        sentence=trouble.sentence,
        organization=organization,
        page=names.check_page(names.costs_key(organization).path, names.LATEST_DAY, trouble.days[-1]),
    )
