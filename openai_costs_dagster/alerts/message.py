"""What a message says: the sentences of its alerts, their figures, a link into Dagster.

Names of projects, users and models come from other people and are hostile: in chat they could mention everyone, hide
a link behind other words or break the layout. What would do that is made harmless here, for every channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openai_costs_dagster.warehouse.outbox import StoredAlert

_ORDER = {"high": 0, "medium": 1, "low": 2}
_SHOWN = 20
_HARMLESS = str.maketrans(
    {"<": "\u2039", ">": "\u203a", "@": "@\u200b", "`": "'", "\0": "\ufffd", "\r": " ", "\n": " "}
)


@dataclass(frozen=True)
class Message:
    """Alerts of one cause, or of one digest, for one channel; `key` is the same in every attempt to send it."""

    key: str
    alerts: Sequence[StoredAlert]
    dagster_url: str | None = None

    @property
    def severity(self) -> str:
        """That of its gravest alert."""
        return min((alert.severity for alert in self.alerts), key=_ORDER.__getitem__, default="low")

    @property
    def title(self) -> str:
        """One line."""
        if len(self.alerts) == 1:
            return harmless(self.alerts[0].title)
        organizations = sorted({alert.organization for alert in self.alerts if alert.organization})
        who = ", ".join(organizations[:3]) + (" and others" if len(organizations) > 3 else "")
        return harmless(f"{who or 'openai-costs'}: {len(self.alerts)} alerts")

    @property
    def text(self) -> str:
        """Plain text, the gravest first."""
        ordered = sorted(self.alerts, key=lambda alert: (_ORDER[alert.severity], alert.alert_id))
        if len(ordered) == 1:
            return "\n".join(self._lines(ordered[0]))
        parts = ["\n".join([harmless(alert.title), *self._lines(alert)]) for alert in ordered[:_SHOWN]]
        if len(ordered) > _SHOWN:
            parts.append(f"and {len(ordered) - _SHOWN} more: openai-costs alerts list")
        return "\n\n".join(parts)

    @property
    def chart(self) -> bytes | None:
        """The picture of its gravest alert that has one."""
        ordered = sorted(self.alerts, key=lambda alert: (_ORDER[alert.severity], alert.alert_id))
        return next((alert.chart for alert in ordered if alert.chart), None)

    def link(self, alert: StoredAlert) -> str | None:
        """The page in Dagster, where it is known at which address people open it."""
        return f"{self.dagster_url}{alert.page}" if self.dagster_url and alert.page else None

    def _lines(self, alert: StoredAlert) -> list[str]:
        lines = [harmless(alert.sentence), *(harmless(f"{label}: {value}") for label, value in alert.facts)]
        link = self.link(alert)
        return [*lines, link] if link else lines


def harmless(text: str) -> str:
    """One line that no chat makes a mention, a link or a layout of; it reads the same."""
    return text.translate(_HARMLESS).replace("](", "]\u200b(").replace("://", ":\u200b//")
