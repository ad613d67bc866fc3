"""What people are told of an admin key: that it expires soon, and that it is old."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.api.directory import WireAdminKey
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.sync.failure_alerts import KIND
from openai_costs_dagster.warehouse import outbox
from openai_costs_dagster.warehouse.database import Connection

OLD = 90 * ONE_DAY
_LONG_AGO = 30 * ONE_DAY  # a key that was old for longer when it is first met is no news
_WARNINGS = ((3 * ONE_DAY, "high"), (14 * ONE_DAY, "medium"))


def record_alerts(connection: Connection, organization: str, own: WireAdminKey, now: dt.datetime) -> None:
    """Records the alerts about the admin key `own` that reads an organization. Each warning is recorded once."""
    expiry, age = _expiry(organization, own, now), _age(organization, own, now)
    if expiry:
        outbox.record(connection, expiry, now)
    if age:
        created = _moment(own.created_at)
        outbox.record(connection, age, now, acknowledged=created is not None and now - created > OLD + _LONG_AGO)


def _expiry(organization: str, own: WireAdminKey, now: dt.datetime) -> outbox.Alert | None:
    expires = _moment(own.expires_at)
    near = next((one for one in _WARNINGS if expires and expires - now <= one[0]), None)
    if expires is None or near is None:
        return None
    return outbox.Alert(
        dedup_key=outbox.dedup_key("key", organization, own.id, str(own.expires_at), str(near[0].days)),
        kind=KIND,
        event="expires",
        severity=near[1],
        title=f"{organization}: its admin key expires on {expires.date()}",
        message=f"The admin key expires at {expires:%Y-%m-%d %H:%M} UTC; from then on no day is read. Make a new one.",
        organization=organization,
    )


def _age(organization: str, own: WireAdminKey, now: dt.datetime) -> outbox.Alert | None:
    created = _moment(own.created_at)
    if created is None or now - created < OLD:
        return None
    return outbox.Alert(
        dedup_key=outbox.dedup_key("key", organization, own.id, "aged"),
        kind=KIND,
        event="aged",
        severity="low",
        title=f"{organization}: its admin key is {OLD.days} days old",
        message=f"The admin key was made on {created.date()}. Rotating it needs no restart: it is read when used.",
        organization=organization,
    )


def _moment(seconds: int | None) -> dt.datetime | None:
    """The moment of a Unix second; None where there is none, or none that a calendar knows."""
    try:
        return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None
