"""The outbox of alerts, and the messages that deliver the alerts to channels.

An alert is written in the transaction that records its cause. A router groups alerts into messages, one per channel and
cause. A sender claims a message for one attempt with a lease. If the sender dies, another sender may claim the message
when the lease has expired.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.records import AlertKind, Severity
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.lock import transaction_lock
from openai_costs_dagster.warehouse.statements import statement

# The unique index of the outbox covers `text_key(dedup_key)`, and only the same expression can use the index.
_IS_RECORDED = """
select exists (
    select from openai_costs.outbox
    where openai_costs.text_key(dedup_key) = openai_costs.text_key(%(dedup_key)s)
)
"""
_MARK_ROUTED = "update openai_costs.outbox set routed_at = %(now)s where alert_id = any(%(alert_ids)s::bigint[])"


@dataclass(frozen=True)
class Alert:
    """An alert. A second alert with the same `dedup_key` is never recorded.

    `kind` is anomaly, budget, sync_failure or test. `facts` are pairs of label and value, `page` is a path in the
    Dagster UI, and `chart` is a PNG image.
    """

    dedup_key: str
    kind: AlertKind
    event: str
    severity: Severity
    title: str
    message: str
    organization: str | None = None
    project_id: str | None = None
    usage_date: dt.date | None = None
    anomaly_id: int | None = None
    facts: Sequence[tuple[str, str]] = ()
    page: str | None = None
    chart: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class StoredAlert(Alert):
    """A recorded alert with its id."""

    alert_id: int
    created_at: dt.datetime


def dedup_key(*parts: str) -> str:
    """Join parts with slashes. Slashes within a part are escaped, so that different parts never yield the same key."""
    return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in parts)


class Message(NamedTuple):
    """A message that was claimed for one attempt of delivery. `attempts` includes this attempt."""

    message_id: int
    channel: str
    idempotency_key: str
    alert_ids: list[int]
    attempts: int
    first_tried_at: dt.datetime


class DeliveryState(NamedTuple):
    """Undelivered messages of a channel: `waiting` ones are retried, `dead` ones are not."""

    channel: str
    waiting: int
    waiting_since: dt.datetime | None
    dead: int
    last_error: str | None


class RecentAlert(NamedTuple):
    """An alert and its deliveries, each as channel and state."""

    created_at: dt.datetime
    organization: str | None
    kind: AlertKind
    event: str
    severity: Severity
    message: str
    acknowledged: bool
    routed_at: dt.datetime | None
    deliveries: list[str]


def lock(connection: Connection, organization: str) -> None:
    """Lock the alerts of an organization until the transaction ends, so that concurrent runs alert once."""
    transaction_lock(connection, organization, "alerts")


def record(connection: Connection, alert: Alert, now: dt.datetime, *, acknowledged: bool = False) -> bool:
    """Record an alert and return whether it is new. An `acknowledged` alert is never sent."""
    values = {**asdict(alert), "facts": json.dumps(list(alert.facts)), "now": now, "acknowledged": acknowledged}
    return connection.execute(statement("alerts/insert_alert"), values).rowcount > 0


def record_routed(connection: Connection, alert: Alert, now: dt.datetime) -> StoredAlert:
    """Record an alert that the caller sends itself, so that no other process creates messages for it."""
    with connection.transaction():
        record(connection, alert, now)
        (stored,) = [one for one in unrouted(connection) if one.dedup_key == alert.dedup_key]
        mark_routed(connection, [stored.alert_id], now)
    return stored


def store_finished_message(
    connection: Connection, channel: str, idempotency_key: str, alert: StoredAlert, error: str | None, now: dt.datetime
) -> None:
    """Record a message after its only attempt: as delivered, or as dropped with its error."""
    values = {
        "channel": channel,
        "idempotency_key": idempotency_key,
        "organization": alert.organization,
        "alert_id": alert.alert_id,
        "error": error,
        "now": now,
    }
    connection.execute(statement("alerts/insert_finished_message"), values)


def is_recorded(connection: Connection, dedup_key: str) -> bool:
    """Return whether an alert with this key was recorded, whether sent or acknowledged."""
    row = connection.execute(_IS_RECORDED, {"dedup_key": dedup_key}).fetchone()
    return bool(row and row[0])


def unrouted(connection: Connection) -> list[StoredAlert]:
    """Return the alerts without messages, locked until the transaction ends."""
    with connection.cursor(row_factory=class_row(StoredAlert)) as cursor:
        return cursor.execute(statement("alerts/unrouted")).fetchall()


def alerts(connection: Connection, alert_ids: Sequence[int]) -> list[StoredAlert]:
    """Return alerts by their ids, oldest first."""
    with connection.cursor(row_factory=class_row(StoredAlert)) as cursor:
        return cursor.execute(statement("alerts/by_id"), {"alert_ids": list(alert_ids)}).fetchall()


def mark_routed(connection: Connection, alert_ids: Sequence[int], now: dt.datetime) -> None:
    """Record the time at which the messages of some alerts were created.

    An alert that no channel accepts is marked as well, although it has no messages.
    """
    connection.execute(_MARK_ROUTED, {"alert_ids": list(alert_ids), "now": now})


def store_message(
    connection: Connection,
    channel: str,
    idempotency_key: str,
    alert_ids: Sequence[int],
    *,
    organization: str | None,
    due_at: dt.datetime,
    now: dt.datetime,
) -> bool:
    """Create a message, or add the alerts to an unsent message with the same key.

    Returns False if a message with this key was already sent.
    """
    values = {
        "channel": channel,
        "idempotency_key": idempotency_key,
        "alert_ids": list(alert_ids),
        "organization": organization,
        "due_at": due_at,
        "now": now,
    }
    return connection.execute(statement("alerts/upsert_message"), values).rowcount > 0


def claim_message(
    connection: Connection, channel: str, after: int, now: dt.datetime, leased_to: dt.datetime
) -> Message | None:
    """Claim the oldest due message of a channel with an id above `after`. The lease ends at `leased_to`."""
    values = {"channel": channel, "after": after, "now": now, "leased_to": leased_to}
    row = connection.execute(statement("alerts/claim_message"), values).fetchone()
    return Message(*row) if row else None


def drop_unconfigured(connection: Connection, channels: Sequence[str], now: dt.datetime) -> int:
    """Drop the messages of channels that are not configured any more. Returns the number of dropped messages."""
    return connection.execute(statement("alerts/drop_unconfigured"), {"channels": list(channels), "now": now}).rowcount


def mark_delivered(connection: Connection, message: Message, now: dt.datetime) -> None:
    """Record the delivery of a message, and the time of the alert for findings in the message."""
    with connection.transaction():
        connection.execute(statement("alerts/mark_delivered"), {"message_id": message.message_id, "now": now})
        connection.execute(statement("alerts/mark_findings_alerted"), {"alert_ids": message.alert_ids, "now": now})


def record_failed_attempt(
    connection: Connection, message: Message, error: str, due_at: dt.datetime, now: dt.datetime, *, dead: bool
) -> None:
    """Record a failed attempt. The message is retried at `due_at`, or never again if `dead`."""
    values = {
        "message_id": message.message_id,
        "attempts": message.attempts,
        "error": error,
        "due_at": due_at,
        "now": now,
        "dead": dead,
    }
    connection.execute(statement("alerts/record_failed_attempt"), values)


def delivery_states(connection: Connection) -> list[DeliveryState]:
    """Return the channels with undelivered messages."""
    return [DeliveryState(*row) for row in connection.execute(statement("alerts/delivery_states"))]


def requeue_dead(connection: Connection, now: dt.datetime) -> int:
    """Schedule all dead messages for another attempt. Returns their number."""
    return connection.execute(statement("alerts/requeue_dead"), {"now": now}).rowcount


def recent(connection: Connection, count: int) -> list[RecentAlert]:
    """Return the latest `count` alerts, newest first."""
    return [RecentAlert(*row) for row in connection.execute(statement("alerts/recent"), {"count": count})]
