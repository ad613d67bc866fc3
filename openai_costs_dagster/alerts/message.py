"""Writes the text of a message from its alerts: titles, explanations, figures and links.

Names of projects, users and models are untrusted input. In a chat, such a name could mention everyone, disguise a link
or break the layout. `neutralize` prevents this for every channel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from openai_costs_dagster.display_text import printable
from openai_costs_dagster.warehouse.outbox import StoredAlert

_SEVERITY_RANK = {"high": 0, "medium": 1, "low": 2}
_MAX_ALERTS = 20
_UNLIMITED = 1_000_000
# Chat services interpret angle brackets as links, `@` as a mention and backticks as code.
_REPLACEMENTS = str.maketrans({"<": "\u2039", ">": "\u203a", "@": "@\u200b", "`": "'"})
# A zero-width space between two markup characters prevents the markup without changing how the text looks.
_MARKUP = re.compile(r"(?<=[*_~|#])(?=[*_~|#])|^(?=#)")


@dataclass(frozen=True)
class Message:
    """The alerts that one message contains. `key` is the same in every attempt to send the message."""

    key: str
    alerts: Sequence[StoredAlert]
    dagster_url: str | None = None

    @property
    def severity(self) -> str:
        """The highest severity of the alerts in the message."""
        return min((alert.severity for alert in self.alerts), key=_SEVERITY_RANK.__getitem__, default="low")

    @property
    def title(self) -> str:
        """The title of the message, in one line."""
        if len(self.alerts) == 1:
            return neutralize(self.alerts[0].title)
        organizations = sorted({alert.organization for alert in self.alerts if alert.organization})
        who = ", ".join(organizations[:3]) + (" and others" if len(organizations) > 3 else "")
        return neutralize(f"{who or 'openai-costs'}: {len(self.alerts)} alerts")

    @property
    def text(self) -> str:
        """The full text of the message without markup, with the most severe alert first."""
        return self.text_within(_UNLIMITED)

    def text_within(self, length: int) -> str:
        """Return the text of the message in at most `length` characters.

        If alerts do not fit, the last line gives their number. The text of a single alert is cut.
        """
        ordered = sorted(self.alerts, key=lambda alert: (_SEVERITY_RANK[alert.severity], alert.alert_id))
        if len(ordered) == 1:
            return _truncate("\n".join(self._lines(ordered[0])), length)
        texts = ["\n".join([neutralize(alert.title), *self._lines(alert)]) for alert in ordered]
        for shown in range(min(len(texts), _MAX_ALERTS), 0, -1):
            rest = [f"and {len(texts) - shown} more: openai-costs alerts list"] if shown < len(texts) else []
            text = "\n\n".join(texts[:shown] + rest)
            if len(text) <= length:
                return text
        return _truncate(texts[0] if texts else "", length)

    @property
    def chart(self) -> bytes | None:
        """The chart of the most severe alert that has a chart, as a PNG image."""
        ordered = sorted(self.alerts, key=lambda alert: (_SEVERITY_RANK[alert.severity], alert.alert_id))
        return next((alert.chart for alert in ordered if alert.chart), None)

    def link(self, alert: StoredAlert) -> str | None:
        """Return the URL of the alert's page in Dagster, or None if `dagster_url` is not configured."""
        return f"{self.dagster_url}{alert.page}" if self.dagster_url and alert.page else None

    def _lines(self, alert: StoredAlert) -> list[str]:
        lines = [neutralize(alert.message), *(neutralize(f"{label}: {value}") for label, value in alert.facts)]
        link = self.link(alert)
        return [*lines, link] if link else lines


def neutralize(text: str) -> str:
    """Return the text as one line in which no chat service recognizes a mention, a link or markup."""
    plain = printable(text).translate(_REPLACEMENTS).replace("](", "]\u200b(").replace("://", ":\u200b//")
    return _MARKUP.sub("\u200b", plain)


def _truncate(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(length - 1, 0)]}\u2026"
