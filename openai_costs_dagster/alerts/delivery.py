"""Delivers stored alerts to their channels, at least once. A failing channel does not delay other channels.

To find out why an alert was not received, start with this module. `route` puts alerts into messages, one for each
channel, and `deliver` sends the messages that are due. `warehouse/outbox.py` stores alerts and messages, and
`openai-costs alerts list` shows them.

Several processes may call `route` and `deliver` at the same time, and may be killed at any time. Alerts are routed in
one transaction, so that no alert is routed twice. A process claims a message before it sends the message. If the
process is killed before it records the message as delivered, the claim expires and another process sends the message
again with the same key.
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
"""The time that an alert waits before it is put into a message, so that alerts with one cause share a message."""

FIRST_RETRY_DELAY = dt.timedelta(seconds=15)
MAX_RETRY_DELAY = dt.timedelta(hours=1)
CLAIM_DURATION = dt.timedelta(seconds=60)
"""The time for which a message is reserved for the process that claimed it.

The time is longer than an attempt to send the message can take.
"""

RETRY_PERIOD = dt.timedelta(days=3)
# The smallest number of attempts before a message is given up after `RETRY_PERIOD`, because a daemon that was down for
# days has made few attempts.
_MIN_ATTEMPTS = 20
MAX_PARALLEL_CHANNELS = 8
_MAX_ERROR_LENGTH = 500

Now = Callable[[], dt.datetime]


@dataclass
class DeliveryResult:
    """The number of sent messages, and the channels that failed."""

    sent: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """The error of each channel that failed, by the name of the channel."""

    def add(self, other: DeliveryResult) -> None:
        """Add the result of another channel to this result."""
        self.sent += other.sent
        self.failed.update(other.failed)


def route(
    database: Database,
    routes: Sequence[Route],
    now: dt.datetime,
    grouping_delay: dt.timedelta = GROUPING_DELAY,
) -> int:
    """Put stored alerts into messages for their channels, in one transaction. Return the number of routed alerts.

    An alert that no channel accepts is also marked as routed, and is never sent.
    """
    with database.connect(name="openai-costs alerts") as connection, connection.transaction():
        known = outbox.unrouted(connection)
        waiting = [
            alert
            for alert in known
            # A test alert has no related alerts to wait for, so it is routed at once.
            if alert.kind == TEST or alert.created_at <= now - grouping_delay
        ]
        for channel in routes:
            for bundle in bundle_alerts(channel, waiting, now):
                _store_message(connection, channel, bundle, now)
        outbox.mark_routed(connection, [alert.alert_id for alert in waiting], now)
        # Messages to a channel that was removed from the settings cannot be delivered.
        outbox.drop_unconfigured(connection, [channel.name for channel in routes], now)
    return len(waiting)


def deliver(
    database: Database, routes: Sequence[Route], dagster_url: str | None, now: Now, deadline: dt.datetime
) -> DeliveryResult:
    """Send the messages that are due, to several channels at once. No attempt starts after `deadline`.

    Raises `WarehouseError` if the database cannot be used.
    """
    done = DeliveryResult()
    if not routes:
        return done
    # In separate threads, a channel that waits for its timeout does not delay the other channels.
    with ThreadPoolExecutor(MAX_PARALLEL_CHANNELS) as threads:
        for result in threads.map(lambda each: _deliver_to(database, each, dagster_url, now, deadline), routes):
            done.add(result)
    return done


def send_test(
    database: Database, routes: Sequence[Route], channel: str, dagster_url: str | None, now: Now
) -> dict[str, str | None]:
    """Send a test alert to a channel, or to all channels if `channel` is empty.

    Return the error of each channel, or None for a channel that accepted the test. Each channel is tried once, and the
    result is stored. A failed test is not repeated, and other alerts that wait for the channel do not delay the test.
    Raises `WarehouseError` if the database cannot be used.
    """
    with database.connect(name="openai-costs alerts") as connection:
        alert = outbox.record_routed(connection, test_alert(channel, now()), now())
        accepting = [one for one in routes if one.matches(alert)]
        keys = {one.name: bundle_alerts(one, [alert], now())[0].key for one in accepting}
        with ThreadPoolExecutor(MAX_PARALLEL_CHANNELS) as threads:
            errors = threads.map(
                lambda one: _error_of(one, Message(keys[one.name], [alert], dagster_url), now()), accepting
            )
            results = dict(zip(keys, errors, strict=True))
        for name, error in results.items():
            outbox.store_finished_message(connection, name, keys[name], alert, error, now())
    return results


def _error_of(target: Route, message: Message, now: dt.datetime) -> str | None:
    try:
        target.channel.send(message, now)
    except NotDeliveredError as error:
        return str(error)[:_MAX_ERROR_LENGTH]
    return None


def test_alert(channel: str, now: dt.datetime) -> outbox.Alert:
    """Return an alert that tests one channel, or all channels if `channel` is empty."""
    return outbox.Alert(
        dedup_key=outbox.dedup_key("test", channel, now.isoformat()),
        kind=TEST,
        event=channel,
        severity="low",
        title="openai-costs: a test",
        message="Alerts of openai-costs arrive here.",
    )


def _store_message(connection: Connection, target: Route, bundle: Bundle, now: dt.datetime) -> None:
    alert_ids = [alert.alert_id for alert in bundle.alerts]
    # If this digest was already sent, its key cannot be used again, and the remaining alerts need a second message with
    # another key.
    for key in (bundle.key, f"{bundle.key}-{min(alert_ids)}"):
        if outbox.store_message(
            connection, target.name, key, alert_ids, organization=bundle.organization, due_at=bundle.due_at, now=now
        ):
            return


def _deliver_to(
    database: Database, target: Route, dagster_url: str | None, now: Now, deadline: dt.datetime
) -> DeliveryResult:
    done, after = DeliveryResult(), 0
    with database.connect(name="openai-costs alerts") as connection:
        while now() < deadline:
            message = outbox.claim_message(connection, target.name, after, now(), now() + CLAIM_DURATION)
            if message is None:
                break
            after = message.message_id
            failure = _send(connection, target, message, dagster_url, now)
            if failure is None:
                done.sent += 1
            else:
                done.failed[target.name] = failure
                break  # Further messages to the channel would fail in the same way, so they are sent in the next round.
    return done


def _send(
    connection: Connection, target: Route, message: outbox.Message, dagster_url: str | None, now: Now
) -> str | None:
    """Send a message and record the result. Return the error, or None if the channel accepted the message."""
    alerts = outbox.alerts(connection, message.alert_ids)
    try:
        if alerts:
            target.channel.send(Message(message.idempotency_key, alerts, dagster_url), now())
    except NotDeliveredError as error:
        failure = str(error)[:_MAX_ERROR_LENGTH]
        # After thousands of failed attempts, the power of 2 would be too large for a timedelta, so the exponent is
        # limited.
        doubled = FIRST_RETRY_DELAY * 2 ** min(message.attempts - 1, 12)
        # The receiver's header `Retry-After` may make the wait longer, but never shorter.
        wait = max(error.retry_after or dt.timedelta(0), min(doubled, MAX_RETRY_DELAY))
        is_dead = message.attempts >= _MIN_ATTEMPTS and now() - message.first_tried_at > RETRY_PERIOD
        outbox.record_failed_attempt(connection, message, failure, now() + wait, now(), dead=is_dead)
        return failure
    outbox.mark_delivered(connection, message, now())
    return None
