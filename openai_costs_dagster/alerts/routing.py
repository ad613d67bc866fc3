"""Selects the channels of alerts, and groups the alerts into messages."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from openai_costs_dagster.alerts.channels import AppriseChannel, Channel, WebhookChannel
from openai_costs_dagster.configuration import PROJECT_CHANNEL_PREFIX, Configuration
from openai_costs_dagster.configuration import Alert as AlertSettings
from openai_costs_dagster.configuration.cron import next_tick
from openai_costs_dagster.warehouse.outbox import StoredAlert

TEST: Final = "test"
_DIGEST = "digest"
_SEVERITY_RANK = {"low": 0, "medium": 1, "high": 2}


@dataclass(frozen=True)
class Route:
    """A channel, with the settings that select its alerts."""

    settings: AlertSettings
    channel: Channel

    @property
    def name(self) -> str:
        """The name of the channel in the database, which never contains the channel's URL."""
        return self.settings.channel

    def matches(self, alert: StoredAlert) -> bool:
        """Return whether the channel accepts an alert.

        The field `event` of a test alert contains the name of the channel to test, or is empty to test all channels.
        """
        if alert.kind == TEST:
            return alert.event in {"", self.name}
        wanted = self.settings
        return (
            alert.kind in wanted.events
            and _SEVERITY_RANK[alert.severity] >= _SEVERITY_RANK[wanted.minimum_severity]
            and (not wanted.organizations or alert.organization in wanted.organizations)
            and (not wanted.projects or alert.project_id in wanted.projects)
        )


@dataclass(frozen=True)
class Bundle:
    """Alerts that are sent together as one message."""

    key: str
    alerts: Sequence[StoredAlert]
    due_at: dt.datetime

    @property
    def organization(self) -> str | None:
        """The organization of the alerts, or None if the alerts belong to several organizations."""
        found = {alert.organization for alert in self.alerts}
        return found.pop() if len(found) == 1 else None


def routes(configuration: Configuration) -> list[Route]:
    """Return the channels that the settings `alerts` and `project_alert_urls` define."""
    found = [Route(one, _channel(one)) for one in configuration.alerts]
    for organization in configuration.organizations.values():
        for project, url in organization.project_alert_urls.items():
            name = f"{PROJECT_CHANNEL_PREFIX}{project} in {organization.name}"
            settings = AlertSettings(url=url, name=name, organizations=(organization.name,), projects=(project,))
            found.append(Route(settings, _channel(settings)))
    return found


def bundle_alerts(route: Route, alerts: Iterable[StoredAlert], now: dt.datetime) -> list[Bundle]:
    """Group the alerts that a channel accepts: by organization, kind and day, or all in one digest."""
    groups: dict[tuple[str, ...], list[StoredAlert]] = {}
    for alert in alerts:
        if not route.matches(alert):
            continue
        if route.settings.digest and alert.kind != TEST:
            cause: tuple[str, ...] = (_DIGEST,)
        else:
            # Alerts of one organization, kind and day usually have one cause, so they share a message.
            cause = (alert.organization or "", alert.kind, str(alert.usage_date))
        groups.setdefault(cause, []).append(alert)
    return [_bundle(route, group, now, digest=cause == (_DIGEST,)) for cause, group in groups.items()]


def _bundle(route: Route, alerts: Sequence[StoredAlert], now: dt.datetime, *, digest: bool) -> Bundle:
    """Return a bundle whose key depends only on its alerts or, for a digest, only on the time at which it is due.

    If a crash interrupts the routing, its repetition produces the same key, and receivers can drop a second message.
    """
    due_at = next_tick(route.settings.digest, now) if digest and route.settings.digest else now
    about = (_DIGEST, due_at.isoformat()) if digest else sorted(alert.dedup_key for alert in alerts)
    # No name contains a null character. With this separator, different lists of keys never result in the same text.
    key = hashlib.sha256("\0".join((route.name, *about)).encode()).hexdigest()[:32]
    return Bundle(key, alerts, due_at)


def _channel(settings: AlertSettings) -> Channel:
    if settings.webhook and settings.secret:
        return WebhookChannel(settings.webhook, settings.secret)
    if settings.url is None:
        # The validation of the settings refuses a channel without a URL, so this line is never reached.
        raise ValueError("an alert without an address")
    return AppriseChannel(settings.url)
