"""Late days: alerts about days that are due and not stored, and about their later arrival.

A sensor, not a refresh run, checks for late days every few minutes, because a refresh that never starts could not
report late days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Final

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.cron import latest_tick
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.sync.failure_alerts import SYNC
from openai_costs_dagster.warehouse import coverage, open_failures, outbox
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.open_failures import OpenFailure

DAYS: Final = "late_days"
"""The kind of an open failure about late days."""

GRACE = dt.timedelta(hours=3)
"""The time after its daily refresh during which a missing day is not late yet."""


def latest_due_day(cron: str, now: dt.datetime) -> dt.date:
    """Return the newest UTC day that is due: `GRACE` has passed since the first daily refresh after the end of the day.

    A refresh at midnight is the refresh of the day that ends at that moment.
    """
    return latest_tick(cron, now - GRACE).date() - ONE_DAY


def are_stored(connection: Connection, organization: str, days: DayRange) -> bool:
    """Return whether all days were read after their end."""
    return not coverage.unread_days(connection, organization, days)


def check_late_days(
    connection: Connection, configuration: Configuration, now: dt.datetime
) -> dict[str, tuple[dt.date, bool]]:
    """Record alerts about late days, and return the newest due day of each organization and whether it is stored.

    An organization without any stored day is not checked, because its first days are still to be read.
    """
    due = latest_due_day(configuration.refresh.cron, now)
    due_days = {}
    for name, organization in configuration.organizations.items():
        if coverage.last_stored_day(connection, name) is not None:
            is_stored = are_stored(connection, name, DayRange(due, due))
            due_days[name] = due, is_stored
            # The failure and its alert are stored together, so neither exists without the other.
            with connection.transaction():
                _record_change(connection, organization, due, now, configuration.checks, is_stored=is_stored)
    return due_days


def _record_change(
    connection: Connection,
    organization: Organization,
    due: dt.date,
    now: dt.datetime,
    checks: Collection[str],
    *,
    is_stored: bool,
) -> None:
    """Open or close the failure of late days and record its alert.

    No alert is recorded while costs cannot be read, because that failure already has its own alert.
    """
    name = organization.name
    known = open_failures.find(connection, name, DAYS)
    if not is_stored and known is None and open_failures.find(connection, name, SYNC) is None:
        last = coverage.last_stored_day(connection, name)
        message = (
            f"{due} is late: it should be stored since its daily refresh. The newest stored day is {last}. "
            "Is the daemon running?"
        )
        failure = OpenFailure(DAYS, "missing", message, "medium", [due], now, now)
        open_failures.store(connection, name, failure)
        outbox.record(connection, _alert(organization, failure, checks, "failed", "days are late"), now)
    # The failure ends when every day from its first late day on is stored. The newest due day can be earlier than that
    # day, after a change of the cron expression.
    elif known and are_stored(connection, name, DayRange(known.days[0], max(due, known.days[0]))):
        open_failures.delete(connection, name, DAYS)
        message = f"All days from {known.days[0]} to {due} are stored."
        recovered = OpenFailure(DAYS, "missing", message, "medium", known.days, known.opened_at, now)
        outbox.record(connection, _alert(organization, recovered, checks, "recovered", "late days are stored"), now)


def _alert(
    organization: Organization, failure: OpenFailure, checks: Collection[str], event: str, title: str
) -> outbox.Alert:
    asset = asset_paths.costs_path(organization)
    # The configuration can omit the check `latest_day`, and then there is no page to link to.
    has_check = asset_paths.LATEST_DAY in checks
    return outbox.Alert(
        # The deduplication key contains the opening time, because an organization can have late days again later.
        dedup_key=outbox.dedup_key("late_days", organization.name, failure.opened_at.isoformat(), event),
        kind="sync_failure",
        event=event,
        severity=failure.severity,
        title=f"{organization.name}: {title}",
        message=failure.message,
        organization=organization.name,
        page=asset_paths.check_page(asset, asset_paths.LATEST_DAY, failure.days[-1])
        if has_check
        else asset_paths.asset_page(asset),
    )
