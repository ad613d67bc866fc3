"""Alerts about an organization's admin key: it expires soon, or it is old."""

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
"""The period after a key became old in which the alert is sent.

After this period the alert is stored as acknowledged, because the key was already old when it was configured.
"""
_EXPIRY_WARNINGS: tuple[tuple[dt.timedelta, Severity], ...] = ((3 * ONE_DAY, "high"), (14 * ONE_DAY, "medium"))
"""Remaining time and severity of each warning, the most urgent first."""


def record_alerts(connection: Connection, organization: Organization, own: WireAdminKey, now: dt.datetime) -> None:
    """Record the alerts about `own`, the admin key that is used for an organization. Each alert is recorded once."""
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
        # The deduplication key contains the expiry, so that a changed expiry alerts again, and the remaining days, so
        # that both warnings about an expiry are sent.
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
    """Return the time of a Unix timestamp; None without a timestamp or if it is out of range."""
    try:
        return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
    # The number and the platform decide which of these errors `fromtimestamp` raises for a time out of range.
    except (OverflowError, ValueError, OSError):
        return None
