"""Brings alerts from the outbox to their channels: at least once, under the same key, none held up by another channel.

Both steps may be killed anywhere and done by several processes at once. Routing is one transaction. A message is
claimed before it is sent; killed before it is marked, it is sent again under its key once its lease is over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from openai_costs_dagster.alerts.channels import NotDeliveredError
from openai_costs_dagster.alerts.message import Message
from openai_costs_dagster.alerts.routing import TEST, Bundle, Route, bundle_alerts
from openai_costs_dagster.warehouse import outbox
from openai_costs_dagster.warehouse.database import Connection, Database

GROUPING_DELAY = dt.timedelta(seconds=20)
"""How long alerts wait for others of their cause before they are put into a message."""

FIRST_RETRY_DELAY = dt.timedelta(seconds=15)
MAX_RETRY_DELAY = dt.timedelta(hours=1)
CLAIM_DURATION = dt.timedelta(seconds=60)
"""How long nobody else tries what a sender has claimed; longer than any attempt lasts."""

RETRY_PERIOD = dt.timedelta(days=3)
_MIN_ATTEMPTS = 20  # a daemon that rested meanwhile has tried too little to give up
MAX_PARALLEL_CHANNELS = 8
_MAX_ERROR_LENGTH = 500

Now = Callable[[], dt.datetime]


@dataclass
class DeliveryResult:
    """What a round did."""

    sent: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Channels that did not take a message, and why."""

    def add(self, other: DeliveryResult) -> None:
        """Takes in what another channel's round did."""
        self.sent += other.sent
        self.failed.update(other.failed)


def route(
    database: Database,
    routes: Sequence[Route],
    now: dt.datetime,
    grouping_delay: dt.timedelta = GROUPING_DELAY,
    *,
    tests_only: bool = False,
) -> int:
    """Puts alerts into messages, in one transaction; how many alerts. Without channels they are done with."""
    with database.connect(name="openai-costs alerts") as connection, connection.transaction():
        known = outbox.unrouted(connection)
        waiting = [
            one for one in known if one.kind == TEST or (one.created_at <= now - grouping_delay and not tests_only)
        ]
        for one in routes:
            for bundle in bundle_alerts(one, waiting, now):
                _store_message(connection, one, bundle, now)
        outbox.mark_routed(connection, [alert.alert_id for alert in waiting], now)
        outbox.drop_unconfigured(connection, [one.name for one in routes], now)
    return len(waiting)


def deliver(
    database: Database, routes: Sequence[Route], dagster_url: str | None, now: Now, deadline: dt.datetime
) -> DeliveryResult:
    """Sends what is due, channels side by side; begins nothing after `deadline`. Raises WarehouseError."""
    done = DeliveryResult()
    if not routes:
        return done
    with ThreadPoolExecutor(MAX_PARALLEL_CHANNELS) as threads:
        for one in threads.map(lambda each: _deliver_to(database, each, dagster_url, now, deadline), routes):
            done.add(one)
    return done


def test_alert(channel: str, now: dt.datetime) -> outbox.Alert:
    """An alert that says that alerts arrive; `channel` is empty for all."""
    return outbox.Alert(
        dedup_key=outbox.dedup_key("test", channel, now.isoformat()),
        kind=TEST,
        event=channel,
        severity="low",
        title="openai-costs: a test",
        message="Alerts of openai-costs arrive here.",
    )


def _store_message(connection: Connection, one: Route, bundle: Bundle, now: dt.datetime) -> None:
    alert_ids = [alert.alert_id for alert in bundle.alerts]
    for key in (bundle.key, f"{bundle.key}-{min(alert_ids)}"):  # the second, where that digest was tried already
        if outbox.store_message(
            connection, one.name, key, alert_ids, organization=bundle.organization, due_at=bundle.due_at, now=now
        ):
            return


def _deliver_to(
    database: Database, one: Route, dagster_url: str | None, now: Now, deadline: dt.datetime
) -> DeliveryResult:
    done, after = DeliveryResult(), 0
    with database.connect(name="openai-costs alerts") as connection:
        while now() < deadline:
            message = outbox.claim_message(connection, one.name, after, now(), now() + CLAIM_DURATION)
            if message is None:
                break
            after = message.message_id
            said = _send(connection, one, message, dagster_url, now)
            if said is None:
                done.sent += 1
            else:
                done.failed[one.name] = said
                break  # the others would meet the same; the next round begins with them
    return done


def _send(connection: Connection, one: Route, message: outbox.Message, dagster_url: str | None, now: Now) -> str | None:
    """Sends and marks; why it did not arrive, or None."""
    alerts = outbox.alerts(connection, message.alert_ids)
    try:
        if alerts:
            one.channel.send(Message(message.idempotency_key, alerts, dagster_url), now())
    except NotDeliveredError as error:
        said = str(error)[:_MAX_ERROR_LENGTH]
        doubled = FIRST_RETRY_DELAY * 2 ** min(message.attempts - 1, 12)
        waits = max(error.wait or dt.timedelta(0), min(doubled, MAX_RETRY_DELAY))
        is_dead = message.attempts >= _MIN_ATTEMPTS and now() - message.first_tried_at > RETRY_PERIOD
        outbox.record_failed_attempt(connection, message, said, now() + waits, now(), dead=is_dead)
        return said
    outbox.mark_delivered(connection, message, now())
    return None
