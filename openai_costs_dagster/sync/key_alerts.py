"""Alerts about an organization's OpenAI admin key that expires soon or that is old and should be rotated."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.api.directory import WireAdminKey
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.records import Severity
from openai_costs_dagster.sync.failure_alerts import KIND
from openai_costs_dagster.sync.key_rotation import rotation_steps
from openai_costs_dagster.warehouse import outbox
from openai_costs_dagster.warehouse.database import Connection

OLD_AFTER = 90 * ONE_DAY
"""The age at which an admin key should be replaced."""
_ALERT_ON_AGE_FOR = 30 * ONE_DAY
"""The period in which the alert about an old admin key is sent. It starts when the key reaches the age `OLD_AFTER`.

After this period, the alert is stored as acknowledged and not sent, because the admin key must have been old already
when it was configured.
"""
_EXPIRY_WARNINGS: tuple[tuple[dt.timedelta, Severity], ...] = ((3 * ONE_DAY, "high"), (14 * ONE_DAY, "medium"))
"""The warnings before an admin key expires, most urgent first: the remaining time, and the severity of the alert."""


def record_alerts(connection: Connection, organization: Organization, own: WireAdminKey, now: dt.datetime) -> None:
    """Record the alerts about the expiry and age of an organization's admin key, `own`. Each alert is recorded once."""
    expiry, age = _expiry(organization, own, now), _age(organization, own, now)
    created = _utc_time(own.created_at)
    was_old_before = created is not None and now - created > OLD_AFTER + _ALERT_ON_AGE_FOR
    with connection.transaction():
        if expiry:
            outbox.record(connection, expiry, now)
        if age:
            outbox.record(connection, age, now, acknowledged=was_old_before)


def _expiry(organization: Organization, own: WireAdminKey, now: dt.datetime) -> outbox.Alert | None:
    expires = _utc_time(own.expires_at)
    due = next((warning for warning in _EXPIRY_WARNINGS if expires and expires - now <= warning[0]), None)
    if expires is None or due is None:
        return None
    remaining, severity = due
    return outbox.Alert(
        # An alert with a known deduplication key is never sent again. The deduplication key contains the expiry time,
        # so that a changed expiry time alerts again. It also contains the remaining days of the warning, so that the
        # warnings 14 days and 3 days before the expiry are both sent.
        dedup_key=outbox.dedup_key("key", organization.name, own.id, str(own.expires_at), str(remaining.days)),
        kind=KIND,
        event="expires",
        severity=severity,
        title=f"{organization.name}: its admin key expires on {expires.date()}",
        message=(
            f"The admin key expires at {expires:%Y-%m-%d %H:%M} UTC, and costs cannot be read after that. "
            f"{rotation_steps(organization)}"
        ),
        organization=organization.name,
    )


def _age(organization: Organization, own: WireAdminKey, now: dt.datetime) -> outbox.Alert | None:
    created = _utc_time(own.created_at)
    if created is None or now - created < OLD_AFTER:
        return None
    return outbox.Alert(
        dedup_key=outbox.dedup_key("key", organization.name, own.id, "aged"),
        kind=KIND,
        event="aged",
        severity="low",
        title=f"{organization.name}: its admin key is {OLD_AFTER.days} days old",
        message=(
            f"The admin key was created on {created.date()}. Keys should be rotated regularly. "
            f"{rotation_steps(organization)}"
        ),
        organization=organization.name,
    )


def _utc_time(seconds: int | None) -> dt.datetime | None:
    """Return a Unix timestamp as a time in UTC, or None if the timestamp is missing or outside Python's range."""
    try:
        return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
    # For a timestamp out of range, `fromtimestamp` raises any of these errors, depending on the number and the
    # platform.
    except (OverflowError, ValueError, OSError):
        return None
