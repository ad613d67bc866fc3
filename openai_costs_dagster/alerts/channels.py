"""Where messages go: any service that Apprise knows, or a webhook of our own documented shape.

Addresses are secrets: they are read when used and stand in no error.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import apprise
import httpx2
from apprise.attachment.memory import AttachMemory

from openai_costs_dagster import http_client
from openai_costs_dagster.alerts.message import Message
from openai_costs_dagster.configuration.secret import SecretReference, SecretUnavailable
from openai_costs_dagster.warehouse.outbox import StoredAlert

TIMEOUT_S = 10.0
"""How long a channel may take to answer."""

_TYPES = {"high": apprise.NotifyType.FAILURE, "medium": apprise.NotifyType.WARNING, "low": apprise.NotifyType.INFO}

# These libraries log the addresses that they request, and addresses are secrets.
logging.getLogger("apprise").setLevel(logging.CRITICAL)
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class NotDeliveredError(Exception):
    """A message did not arrive; the text is a sentence without the address. `wait` is what the receiver asked for."""

    def __init__(self, said: str, *, wait: dt.timedelta | None = None) -> None:
        super().__init__(said)
        self.wait = wait


class Channel(Protocol):
    """Somewhere that messages go."""

    def send(self, message: Message, now: dt.datetime) -> None:
        """Sends a message. Raises NotDeliveredError."""


@dataclass(frozen=True)
class AppriseChannel:
    """A service that Apprise knows, by its URL."""

    url: SecretReference

    def send(self, message: Message, now: dt.datetime) -> None:  # noqa: ARG002  # no service takes a time
        """Sends plain text, and the chart where the service shows pictures. Raises NotDeliveredError."""
        try:
            http_client.check_requests_ca_bundle()
        except http_client.HttpSettingsError as error:
            raise NotDeliveredError(str(error)) from None
        service = apprise.Apprise.instantiate(read_secret(self.url), suppress_exceptions=True)
        if service is None:
            raise NotDeliveredError(f"the {self.url} holds no URL that Apprise knows")
        picture = apprise.AppriseAttachment()
        if message.chart and service.attachment_support:
            picture.add(AttachMemory(message.chart, name="spend.png", mimetype="image/png"))  # type: ignore[no-untyped-call]
        sender = apprise.Apprise()
        sender.add(service)
        arrived = sender.notify(
            title=message.title,
            body=message.text_within(_body_limit(service, message.title)),
            notify_type=_TYPES[message.severity],
            body_format=apprise.NotifyFormat.TEXT,
            attach=picture if len(picture) else None,
            timeout=TIMEOUT_S,
        )
        if not arrived:
            raise NotDeliveredError("the service refused the message or did not answer")


@dataclass(frozen=True)
class WebhookChannel:
    """A JSON webhook_body, signature_headers as the Standard Webhooks specification says."""

    url: SecretReference
    secret: SecretReference

    def send(self, message: Message, now: dt.datetime) -> None:
        """Posts once, follows no redirect. Raises NotDeliveredError for any answer but 2xx."""
        url = read_secret(self.url)
        if not is_https_or_loopback(url):
            raise NotDeliveredError(f"the {self.url} holds no https address")
        body = json.dumps(webhook_body(message, now), separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            **signature_headers(message.key, now, body, read_secret(self.secret)),
        }
        status, wait = request("POST", url, what="webhook", where=str(self.url), body=body, headers=headers)
        if not 200 <= status < 300:
            raise NotDeliveredError(f"the webhook answered {status}", wait=wait)


def request(
    method: str,
    url: str,
    *,
    what: str,
    where: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dt.timedelta | None]:
    """Requests a URL once and returns the status and the wait that the answer asks for.

    Follows no redirect and does not read the body. Headers that arrive byte by byte do not extend the time-out.
    `what` and `where` name the receiver in errors. Raises NotDeliveredError without the URL.
    """
    try:
        made = http_client.create_client(
            url, proxy=http_client.find_proxy(url), timeout=TIMEOUT_S, follow_redirects=False
        )
    except http_client.HttpSettingsError as error:
        raise NotDeliveredError(str(error)) from None
    with made as client:
        watch = threading.Timer(TIMEOUT_S, client.close)
        watch.start()
        try:
            with client.stream(method, url, content=body, headers=headers) as answer:
                return answer.status_code, _retry_after(answer.headers)
        except httpx2.HTTPError as error:
            is_late = watch.finished.is_set() or isinstance(error, httpx2.TimeoutException)
            said = f"within {TIMEOUT_S:g} seconds" if is_late else f"properly: {type(error).__name__}"
            raise NotDeliveredError(f"the {what} did not answer {said}") from None
        except (httpx2.InvalidURL, ValueError, RuntimeError, OSError):
            raise NotDeliveredError(f"the {what} at the {where} could not be asked") from None
        finally:
            watch.cancel()


def _body_limit(service: apprise.NotifyBase, title: str) -> int:
    """How many characters of text a service takes; some put the title into it."""
    return int(service.body_maxlen) - (0 if service.title_maxlen else len(title) + 8)


def signature_headers(key: str, now: dt.datetime, body: bytes, secret: str) -> dict[str, str]:
    """The headers that prove a body: HMAC-SHA256 of ``<id>.<timestamp>.<body>``, base64 after ``v1,``.

    A secret that begins with ``whsec_`` is base64, any other one is taken as it is. Source: standardwebhooks.com.
    """
    timestamp = str(int(now.timestamp()))
    digest = hmac.new(_secret_bytes(secret), f"{key}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Webhook-Id": key,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": f"v1,{base64.b64encode(digest).decode()}",
        "Idempotency-Key": key,
    }


def webhook_body(message: Message, now: dt.datetime) -> dict[str, Any]:
    """The body of a webhook; its shape is documented and grows by addition only."""
    return {
        "version": 1,
        "id": message.key,
        "sent_at": now.isoformat(),
        "title": message.title,
        "text": message.text,
        "severity": message.severity,
        "alerts": [_alert_body(alert, message.link(alert)) for alert in message.alerts],
    }


def _alert_body(alert: StoredAlert, link: str | None) -> dict[str, Any]:
    return {
        "id": alert.dedup_key,
        "kind": alert.kind,
        "event": alert.event,
        "severity": alert.severity,
        "organization": alert.organization,
        "project_id": alert.project_id,
        "usage_date": alert.usage_date.isoformat() if alert.usage_date else None,
        "title": alert.title,
        "sentence": alert.message,
        "facts": dict(alert.facts),
        "url": link,
    }


def is_https_or_loopback(url: str) -> bool:
    """Whether nobody on the way can read it: https, or plain http to this very machine."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in http_client.LOOPBACK)
    except ValueError:
        return False


def read_secret(reference: SecretReference) -> str:
    """The secret itself. Raises NotDeliveredError."""
    try:
        return reference.read()
    except SecretUnavailable as error:
        raise NotDeliveredError(str(error)) from None


def _secret_bytes(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return secret.encode()


def _retry_after(headers: Mapping[str, str]) -> dt.timedelta | None:
    """The wait that a receiver asks for in seconds; other forms are not read."""
    asked = headers.get("Retry-After", "")
    return dt.timedelta(seconds=min(int(asked), 3600)) if asked.isascii() and asked.isdigit() else None
