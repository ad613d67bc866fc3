"""Records alerts about late days, which are due and not stored, and about their later recovery.

A sensor calls this module every few minutes. A refresh run could not report late days, because days are often late when
no refresh starts.
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
"""The kind under which a failure about late days is stored."""

GRACE = dt.timedelta(hours=3)
"""The time after the daily refresh of a day during which the day may be missing without being late."""


def latest_due_day(cron: str, now: dt.datetime) -> dt.date:
    """Return the newest UTC day that should be stored: `GRACE` has passed since the first daily refresh after the day's
    end.

    A refresh at midnight UTC belongs to the day that ends at that moment.
    """
    return latest_tick(cron, now - GRACE).date() - ONE_DAY


def are_stored(connection: Connection, organization: str, days: DayRange) -> bool:
    """Return whether each of the days was read from OpenAI after its end."""
    return not coverage.unread_days(connection, organization, days)


def check_late_days(
    connection: Connection, configuration: Configuration, now: dt.datetime
) -> dict[str, tuple[dt.date, bool]]:
    """Record alerts about late days.

    The result maps the name of each organization to the newest day that is due, and whether that day is stored. An
    organization without any stored day is not checked, because its history has not been read yet.
    """
    due = latest_due_day(configuration.refresh.cron, now)
    due_days = {}
    for name, organization in configuration.organizations.items():
        if coverage.last_stored_day(connection, name) is not None:
            is_stored = are_stored(connection, name, DayRange(due, due))
            due_days[name] = due, is_stored
            # Without a transaction, a crash could store a failure without its alert, and the alert would never be sent.
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
    """Store or delete the failure about late days of an organization, and record its alert.

    If costs cannot be read at all, no alert about late days is recorded, because the failed synchronization has an
    alert already.
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
    # The failure ends when every day since its first late day is stored. After a change of the cron expression, the
    # newest due day can be earlier than this first late day, so the range has at least one day.
    elif known and are_stored(connection, name, DayRange(known.days[0], max(due, known.days[0]))):
        open_failures.delete(connection, name, DAYS)
        message = f"All days from {known.days[0]} to {due} are stored."
        recovered = OpenFailure(DAYS, "missing", message, "medium", known.days, known.opened_at, now)
        outbox.record(connection, _alert(organization, recovered, checks, "recovered", "late days are stored"), now)


def _alert(
    organization: Organization, failure: OpenFailure, checks: Collection[str], event: str, title: str
) -> outbox.Alert:
    asset = asset_paths.costs_path(organization)
    # If the check `latest_day` is not configured, it has no page, and the alert links to the page of the asset.
    has_check = asset_paths.LATEST_DAY in checks
    return outbox.Alert(
        # Days can be late again after they were stored. The deduplication key therefore contains the opening time,
        # because a new failure needs a new alert.
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
