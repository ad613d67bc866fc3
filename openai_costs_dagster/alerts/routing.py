"""Which channels there are, which alerts belong to which, and which of them are one message."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from openai_costs_dagster.alerts.channels import AppriseChannel, Channel, WebhookChannel
from openai_costs_dagster.configuration import PROJECT_CHANNEL_PREFIX, Configuration
from openai_costs_dagster.configuration import Alert as AlertSettings
from openai_costs_dagster.configuration.cron import next_tick
from openai_costs_dagster.warehouse.outbox import StoredAlert

TEST = "test"
_DIGEST = "digest"
_SEVERITY_RANK = {"low": 0, "medium": 1, "high": 2}


@dataclass(frozen=True)
class Route:
    """A channel, and what it is for."""

    settings: AlertSettings
    channel: Channel

    @property
    def name(self) -> str:
        """What the channel is called in the database; never its address."""
        return self.settings.channel

    def matches(self, alert: StoredAlert) -> bool:
        """Whether an alert belongs here. A test belongs to the channel that its event names, or to all."""
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
    """Alerts that are one message."""

    key: str
    alerts: Sequence[StoredAlert]
    due_at: dt.datetime

    @property
    def organization(self) -> str | None:
        """Whose alerts they are; None where they are not of one."""
        found = {alert.organization for alert in self.alerts}
        return found.pop() if len(found) == 1 else None


def routes(configuration: Configuration) -> list[Route]:
    """All channels: those of `alerts`, and the owners of projects."""
    found = [Route(one, _channel(one)) for one in configuration.alerts]
    for organization in configuration.organizations.values():
        for project, url in organization.project_alert_urls.items():
            name = f"{PROJECT_CHANNEL_PREFIX}{project} in {organization.name}"
            settings = AlertSettings(url=url, name=name, organizations=(organization.name,), projects=(project,))
            found.append(Route(settings, _channel(settings)))
    return found


def bundle_alerts(route: Route, alerts: Iterable[StoredAlert], now: dt.datetime) -> list[Bundle]:
    """What a route sends of some alerts: one message by organization, kind and day, or one digest."""
    groups: dict[tuple[str, ...], list[StoredAlert]] = {}
    for alert in alerts:
        if not route.matches(alert):
            continue
        if route.settings.digest and alert.kind != TEST:
            cause: tuple[str, ...] = (_DIGEST,)
        else:
            cause = (alert.organization or "", alert.kind, str(alert.usage_date))
        groups.setdefault(cause, []).append(alert)
    return [_bundle(route, group, now, digest=cause == (_DIGEST,)) for cause, group in groups.items()]


def _bundle(route: Route, alerts: Sequence[StoredAlert], now: dt.datetime, *, digest: bool) -> Bundle:
    """Its key is the same for the same alerts, or for the same digest, however often they are put together."""
    due_at = next_tick(route.settings.digest, now) if digest and route.settings.digest else now
    about = (_DIGEST, due_at.isoformat()) if digest else sorted(alert.dedup_key for alert in alerts)
    key = hashlib.sha256("\0".join((route.name, *about)).encode()).hexdigest()[:32]
    return Bundle(key, alerts, due_at)


def _channel(settings: AlertSettings) -> Channel:
    if settings.webhook and settings.secret:
        return WebhookChannel(settings.webhook, settings.secret)
    if settings.url is None:
        raise ValueError("an alert without an address")  # its settings do not allow that
    return AppriseChannel(settings.url)
