"""Stores alerts in the table `outbox`, and the messages that deliver alerts to channels in the table `messages`.

An alert is stored in the same transaction as its cause. A router later groups alerts into messages, one message for
each channel and cause. A sender reserves a message for one attempt to deliver it, for a limited time. If the sender
dies, another sender can reserve the message after this time.
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

# The unique index of the table `outbox` is on the expression `text_key(dedup_key)`. PostgreSQL uses the index only for
# a query with the same expression.
_IS_RECORDED = """
select exists (
    select from openai_costs.outbox
    where openai_costs.text_key(dedup_key) = openai_costs.text_key(%(dedup_key)s)
)
"""
_MARK_ROUTED = "update openai_costs.outbox set routed_at = %(now)s where alert_id = any(%(alert_ids)s::bigint[])"


@dataclass(frozen=True)
class Alert:
    """An alert to record. If an alert with the same `dedup_key` was recorded before, the new alert is discarded.

    `kind` is anomaly, budget, sync_failure or test. `facts` are pairs of label and value, `page` is the path of a page
    in the Dagster UI, and `chart` is a PNG image.
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
    """An alert in the table `outbox`, with its id and the time at which it was recorded."""

    alert_id: int
    created_at: dt.datetime


def dedup_key(*parts: str) -> str:
    """Return a deduplication key: `parts` joined by slashes.

    Slashes inside a part are escaped, so that two different lists of parts never yield the same key.
    """
    return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in parts)


class Message(NamedTuple):
    """A message that this process has reserved for one attempt to deliver it. `attempts` includes this attempt."""

    message_id: int
    channel: str
    idempotency_key: str
    alert_ids: list[int]
    attempts: int
    first_tried_at: dt.datetime


class DeliveryState(NamedTuple):
    """The undelivered messages of one channel.

    `waiting` is the number of messages that are sent or retried later, `waiting_since` the time of the oldest of these,
    and `dead` the number of messages that are not retried. `last_error` is None if no attempt has failed.
    """

    channel: str
    waiting: int
    waiting_since: dt.datetime | None
    dead: int
    last_error: str | None


class RecentAlert(NamedTuple):
    """A recorded alert, and its deliveries. Each delivery is a text with the channel's name and the message's state."""

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
    """Lock the alerts of an organization until the transaction ends.

    A concurrent run waits for the lock and then sees the recorded alerts, so that it does not record them twice.
    """
    transaction_lock(connection, organization, "alerts")


def record(connection: Connection, alert: Alert, now: dt.datetime, *, acknowledged: bool = False) -> bool:
    """Record an alert. Return False if an alert with the same deduplication key was recorded before.

    With `acknowledged`, the alert is recorded but never sent.
    """
    values = {**asdict(alert), "facts": json.dumps(list(alert.facts)), "now": now, "acknowledged": acknowledged}
    return connection.execute(statement("alerts/insert_alert"), values).rowcount > 0


def record_routed(connection: Connection, alert: Alert, now: dt.datetime) -> StoredAlert:
    """Record an alert that the caller itself sends, and return the recorded alert.

    The alert is marked as routed in the same transaction, so that no other process creates messages for it.
    """
    with connection.transaction():
        record(connection, alert, now)
        (stored,) = [one for one in unrouted(connection) if one.dedup_key == alert.dedup_key]
        mark_routed(connection, [stored.alert_id], now)
    return stored


def store_finished_message(
    connection: Connection, channel: str, idempotency_key: str, alert: StoredAlert, error: str | None, now: dt.datetime
) -> None:
    """Store a message after the only attempt to deliver it.

    The message is stored as delivered if `error` is None, and otherwise as dropped with this error.
    """
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
    """Return whether an alert with the deduplication key `dedup_key` was recorded, even if it was never sent."""
    row = connection.execute(_IS_RECORDED, {"dedup_key": dedup_key}).fetchone()
    return bool(row and row[0])


def unrouted(connection: Connection) -> list[StoredAlert]:
    """Return the alerts for which no messages were created yet. Locks the alerts until the transaction ends."""
    with connection.cursor(row_factory=class_row(StoredAlert)) as cursor:
        return cursor.execute(statement("alerts/unrouted")).fetchall()


def alerts(connection: Connection, alert_ids: Sequence[int]) -> list[StoredAlert]:
    """Return the recorded alerts with the given ids, oldest first."""
    with connection.cursor(row_factory=class_row(StoredAlert)) as cursor:
        return cursor.execute(statement("alerts/by_id"), {"alert_ids": list(alert_ids)}).fetchall()


def mark_routed(connection: Connection, alert_ids: Sequence[int], now: dt.datetime) -> None:
    """Mark alerts as routed at the time `now`, so that no further messages are created for them.

    An alert that no channel accepts is marked as well, although no message was created for it.
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
    """Create a message to a channel. If an unsent message has the same key, add the alerts to that message.

    Returns False, and stores nothing, if a message with the same `idempotency_key` was already sent.
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
    """Reserve the oldest due message of a channel with an id above `after` for this process, and return it.

    Returns None if no such message is due. Until `leased_to`, no other process can reserve the message.
    """
    values = {"channel": channel, "after": after, "now": now, "leased_to": leased_to}
    row = connection.execute(statement("alerts/claim_message"), values).fetchone()
    return Message(*row) if row else None


def drop_unconfigured(connection: Connection, channels: Sequence[str], now: dt.datetime) -> int:
    """Give up the undelivered messages of all channels that are not listed in `channels`, and return their number.

    Such channels were removed from the configuration.
    """
    return connection.execute(statement("alerts/drop_unconfigured"), {"channels": list(channels), "now": now}).rowcount


def mark_delivered(connection: Connection, message: Message, now: dt.datetime) -> None:
    """Record that a message was delivered, and set the alert time of the anomaly findings in the message to `now`."""
    with connection.transaction():
        connection.execute(statement("alerts/mark_delivered"), {"message_id": message.message_id, "now": now})
        connection.execute(statement("alerts/mark_findings_alerted"), {"alert_ids": message.alert_ids, "now": now})


def record_failed_attempt(
    connection: Connection, message: Message, error: str, due_at: dt.datetime, now: dt.datetime, *, dead: bool
) -> None:
    """Record a failed attempt to deliver a message. The next attempt is at `due_at`; with `dead`, none follows."""
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
    """Return the numbers of undelivered messages, for each channel that has any."""
    return [DeliveryState(*row) for row in connection.execute(statement("alerts/delivery_states"))]


def requeue_dead(connection: Connection, now: dt.datetime) -> int:
    """Schedule all messages that are no longer retried for another attempt, and return the number of messages."""
    return connection.execute(statement("alerts/requeue_dead"), {"now": now}).rowcount


def recent(connection: Connection, count: int) -> list[RecentAlert]:
    """Return the latest `count` recorded alerts with the states of their deliveries, newest first."""
    return [RecentAlert(*row) for row in connection.execute(statement("alerts/recent"), {"count": count})]
