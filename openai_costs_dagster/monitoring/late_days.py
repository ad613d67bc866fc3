"""Whether the days that should be here are here: looked at by the clock, for where nothing runs no run can tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.cron import latest_tick
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.sync.failure_alerts import SYNC
from openai_costs_dagster.warehouse import coverage, open_failures, outbox
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.open_failures import OpenFailure

DAYS = "late_days"
GRACE = dt.timedelta(hours=3)
"""How long after its daily refresh a day may be missing."""


def latest_due_day(cron: str, now: dt.datetime) -> dt.date:
    """The newest UTC day that should be stored by now, `GRACE` after the first daily refresh at or after its end.

    A refresh at midnight sharp stores the day that ends at that moment.
    """
    return latest_tick(cron, now - GRACE).date() - ONE_DAY


def are_stored(connection: Connection, organization: str, days: DayRange) -> bool:
    """Whether all of some days were read after their end."""
    return not coverage.unread_days(connection, organization, days)


def check_late_days(
    connection: Connection, configuration: Configuration, now: dt.datetime
) -> dict[str, tuple[dt.date, bool]]:
    """By organization that was ever read: the newest day that is due, and whether it is here. Tells what is news."""
    due = latest_due_day(configuration.refresh.cron, now)
    found = {}
    for name, organization in configuration.organizations.items():
        if coverage.last_stored_day(connection, name) is not None:
            found[name] = due, are_stored(connection, name, DayRange(due, due))
            with connection.transaction():
                _tell(connection, organization, due, now, configuration.checks, arrived=found[name][1])
    return found


def _tell(
    connection: Connection,
    organization: Organization,
    due: dt.date,
    now: dt.datetime,
    checks: Collection[str],
    *,
    arrived: bool,
) -> None:
    """A reading that fails is told by itself: its days are no news beside it."""
    name = organization.name
    known = open_failures.find(connection, name, DAYS)
    if not arrived and known is None and open_failures.find(connection, name, SYNC) is None:
        last = coverage.last_stored_day(connection, name)
        said = f"{due} should be here since its daily refresh; the newest stored day is {last}. Is the daemon running?"
        trouble = OpenFailure(DAYS, "missing", said, "medium", [due], now, now)
        open_failures.store(connection, name, trouble)
        outbox.record(connection, _alert(organization, trouble, checks, "failed", "days stopped arriving"), now)
    elif known and are_stored(connection, name, DayRange(known.days[0], max(due, known.days[0]))):
        open_failures.delete(connection, name, DAYS)
        said = f"{known.days[0]} and all days up to {due} arrived."
        back = OpenFailure(DAYS, "missing", said, "medium", known.days, known.opened_at, now)
        outbox.record(connection, _alert(organization, back, checks, "recovered", "days arrive again"), now)


def _alert(
    organization: Organization, trouble: OpenFailure, checks: Collection[str], event: str, title: str
) -> outbox.Alert:
    asset = asset_paths.costs_path(organization)
    has_check = asset_paths.LATEST_DAY in checks
    return outbox.Alert(
        dedup_key=outbox.dedup_key("late_days", organization.name, trouble.opened_at.isoformat(), event),
        kind="sync_failure",
        event=event,
        severity=trouble.severity,
        title=f"{organization.name}: {title}",
        message=trouble.message,
        organization=organization.name,
        page=asset_paths.check_page(asset, asset_paths.LATEST_DAY, trouble.days[-1])
        if has_check
        else asset_paths.asset_page(asset),
    )
