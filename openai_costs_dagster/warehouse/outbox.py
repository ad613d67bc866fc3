"""The outbox: what people are to be told, recorded once, and its messages on their way to channels.

An alert is written in the transaction that records what it tells of. A router puts alerts into messages, one for each
channel and cause. A sender claims a message for one attempt: nobody else tries it before its lease is over, and what a
killed sender had claimed is tried again then.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

# One writer of an organization's incidents and budgets at a time, until the transaction ends.
_LOCK = "select pg_advisory_xact_lock(hashtextextended('openai_costs/alerts/' || %(organization)s, 0))"
_IS_RECORDED = """
select exists (
    select from openai_costs.outbox
    where openai_costs.text_key(dedup_key) = openai_costs.text_key(%(dedup_key)s)
)
"""
_MARK_ROUTED = "update openai_costs.outbox set routed_at = %(now)s where alert_id = any(%(alert_ids)s::bigint[])"


@dataclass(frozen=True)
class Alert:
    """What people are to be told. `dedup_key` is what it is about: a second one with the same key is no news.

    `kind` is anomaly, budget, sync_failure or test; `severity` low, medium or high; `facts` are labels and values;
    `page` is a path in Dagster; `chart` a PNG.
    """

    dedup_key: str
    kind: str
    event: str
    severity: str
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
    """An alert with its number."""

    alert_id: int
    created_at: dt.datetime


def dedup_key(*parts: str) -> str:
    """Joins parts with slashes. Slashes within a part are escaped, so that different parts never make the same key."""
    return "/".join(part.replace("\\", "\\\\").replace("/", "\\/") for part in parts)


class Message(NamedTuple):
    """Alerts on their way to a channel, claimed for one attempt; `attempts` counts it."""

    message_id: int
    channel: str
    idempotency_key: str
    alert_ids: list[int]
    attempts: int
    first_tried_at: dt.datetime


class DeliveryState(NamedTuple):
    """What did not arrive at a channel: messages that are tried again, and those that were given up."""

    channel: str
    waiting: int
    waiting_since: dt.datetime | None
    dead: int
    last_error: str | None


class RecentAlert(NamedTuple):
    """An alert and where it went."""

    created_at: dt.datetime
    organization: str | None
    kind: str
    event: str
    severity: str
    message: str
    acknowledged: bool
    routed_at: dt.datetime | None
    deliveries: list[str]


def lock(connection: Connection, organization: str) -> None:
    """Lets one transaction at a time decide what is news of an organization."""
    connection.execute(_LOCK, {"organization": organization})


def record(connection: Connection, alert: Alert, now: dt.datetime, *, acknowledged: bool = False) -> bool:
    """Records an alert unless it was recorded before; whether it is new. With `acknowledged` it is never sent."""
    values = {**asdict(alert), "facts": json.dumps(list(alert.facts)), "now": now, "acknowledged": acknowledged}
    return connection.execute(statement("alerts/insert_alert"), values).rowcount > 0


def is_recorded(connection: Connection, dedup_key: str) -> bool:
    """Whether an alert with this key was recorded, sent or acknowledged."""
    row = connection.execute(_IS_RECORDED, {"dedup_key": dedup_key}).fetchone()
    return bool(row and row[0])


def unrouted(connection: Connection) -> list[StoredAlert]:
    """Alerts that are in no message yet, locked until the transaction ends."""
    with connection.cursor(row_factory=class_row(StoredAlert)) as cursor:
        return cursor.execute(statement("alerts/unrouted")).fetchall()


def alerts(connection: Connection, alert_ids: Sequence[int]) -> list[StoredAlert]:
    """Some alerts, oldest first."""
    with connection.cursor(row_factory=class_row(StoredAlert)) as cursor:
        return cursor.execute(statement("alerts/by_id"), {"alert_ids": list(alert_ids)}).fetchall()


def mark_routed(connection: Connection, alert_ids: Sequence[int], now: dt.datetime) -> None:
    """They are in all messages that they belong into, none perhaps."""
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
    """Puts alerts into a message; one with the same key takes them in, as long as it was never tried.

    Whether there is a message that holds them now.
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
    """Claims the oldest message after one that is due for a channel: until `leased_to` nobody else does."""
    values = {"channel": channel, "after": after, "now": now, "leased_to": leased_to}
    row = connection.execute(statement("alerts/claim_message"), values).fetchone()
    return Message(*row) if row else None


def drop_unconfigured(connection: Connection, channels: Sequence[str], now: dt.datetime) -> int:
    """Gives up what waits for channels that are configured no more; how many messages."""
    return connection.execute(statement("alerts/drop_unconfigured"), {"channels": list(channels), "now": now}).rowcount


def mark_delivered(connection: Connection, message: Message, now: dt.datetime) -> None:
    """It arrived, and findings in it were alerted."""
    with connection.transaction():
        connection.execute(statement("alerts/mark_delivered"), {"message_id": message.message_id, "now": now})
        connection.execute(statement("alerts/mark_findings_alerted"), {"alert_ids": message.alert_ids, "now": now})


def record_failed_attempt(
    connection: Connection, message: Message, error: str, due_at: dt.datetime, now: dt.datetime, *, dead: bool
) -> None:
    """It did not arrive: tried again at `due_at`, or given up where `dead`."""
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
    """The channels at which something did not arrive."""
    return [DeliveryState(*row) for row in connection.execute(statement("alerts/delivery_states"))]


def requeue_dead(connection: Connection, now: dt.datetime) -> int:
    """Lets messages that were given up be tried again; how many."""
    return connection.execute(statement("alerts/requeue_dead"), {"now": now}).rowcount


def recent(connection: Connection, count: int) -> list[RecentAlert]:
    """The newest alerts, newest first."""
    return [RecentAlert(*row) for row in connection.execute(statement("alerts/recent"), {"count": count})]
