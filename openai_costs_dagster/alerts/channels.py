"""Channels that alerts are sent to: services supported by Apprise, and signed webhooks.

A new kind of channel is a class that implements `Channel`; `routing._channel` creates it from the settings of an alert.
Channel URLs are secrets. They are read when a message is sent, and error messages never contain them.
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
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.warehouse.outbox import StoredAlert

TIMEOUT_S = 10.0
"""Time limit in seconds for a channel's response."""

_TYPES = {"high": apprise.NotifyType.FAILURE, "medium": apprise.NotifyType.WARNING, "low": apprise.NotifyType.INFO}

# Apprise and httpx2 log the URLs that they request, and the URLs of channels are secrets.
logging.getLogger("apprise").setLevel(logging.CRITICAL)
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class NotDeliveredError(Exception):
    """A failed attempt to send a message. The text never contains the URL of the channel."""

    def __init__(self, message: str, *, retry_after: dt.timedelta | None = None) -> None:
        """`retry_after` is the wait that the receiver requested with the header `Retry-After`."""
        super().__init__(message)
        self.retry_after = retry_after


class Channel(Protocol):
    """A destination for messages."""

    def send(self, message: Message, now: dt.datetime) -> None:
        """Send a message. Raises `NotDeliveredError` if the channel does not accept it."""


@dataclass(frozen=True)
class AppriseChannel:
    """A service that Apprise supports, for example Slack or mail."""

    url: SecretReference

    def send(self, message: Message, now: dt.datetime) -> None:  # noqa: ARG002  # required by `Channel`
        """Send plain text, with the chart as an attachment if the service supports attachments."""
        try:
            http_client.check_requests_ca_bundle()
        except http_client.HttpSettingsError as error:
            raise NotDeliveredError(str(error)) from None
        service = apprise.Apprise.instantiate(read_secret(self.url), suppress_exceptions=True)
        if service is None:
            raise NotDeliveredError(f"the {self.url} contains no URL that Apprise supports")
        picture = apprise.AppriseAttachment()
        if message.chart and service.attachment_support:
            picture.add(AttachMemory(message.chart, name="spend.png", mimetype="image/png"))  # type: ignore[no-untyped-call]
        sender = apprise.Apprise()
        sender.add(service)
        is_accepted = sender.notify(
            title=message.title,
            body=message.text_within(_body_limit(service, message.title)),
            notify_type=_TYPES[message.severity],
            # Apprise escapes plain text for services that send HTML or Markdown. Without a format, Apprise would pass
            # names, which are untrusted, to such services unchanged.
            body_format=apprise.NotifyFormat.TEXT,
            attach=picture if len(picture) else None,
            timeout=TIMEOUT_S,
        )
        if not is_accepted:
            raise NotDeliveredError("the service refused the message or did not answer")


@dataclass(frozen=True)
class WebhookChannel:
    """An HTTPS endpoint that receives a JSON document, signed according to the Standard Webhooks specification."""

    url: SecretReference
    secret: SecretReference

    def send(self, message: Message, now: dt.datetime) -> None:
        """Post the message once, without following redirects. Any status other than 2xx is a failure."""
        url = read_secret(self.url)
        if not is_https_or_loopback(url):
            raise NotDeliveredError(f"the {self.url} contains no https URL")
        # The signature covers the exact bytes of the body, so the document is serialized only once.
        body = json.dumps(webhook_body(message, now), separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            **signature_headers(message.key, now, body, read_secret(self.secret)),
        }
        status, retry_after = request("POST", url, what="webhook", where=str(self.url), body=body, headers=headers)
        if not 200 <= status < 300:
            raise NotDeliveredError(f"the webhook answered {status}", retry_after=retry_after)


def request(
    method: str,
    url: str,
    *,
    what: str,
    where: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, dt.timedelta | None]:
    """Request a URL once and return the status and the wait of the header `Retry-After`.

    Redirects are not followed and the response body is not read. `what` and `where` name the receiver in error
    messages, which never contain the URL. Raises `NotDeliveredError`.
    """
    try:
        made = http_client.create_client(
            url, proxy=http_client.find_proxy(url), timeout=TIMEOUT_S, follow_redirects=False
        )
    except http_client.HttpSettingsError as error:
        raise NotDeliveredError(str(error)) from None
    with made as client:
        # The client's timeout restarts with every byte, so a slow trickle of headers would extend it without end.
        watch = threading.Timer(TIMEOUT_S, client.close)
        watch.start()
        try:
            with client.stream(method, url, content=body, headers=headers) as answer:
                return answer.status_code, _retry_after(answer.headers)
        except httpx2.HTTPError as error:
            is_late = watch.finished.is_set() or isinstance(error, httpx2.TimeoutException)
            failure = f"within {TIMEOUT_S:g} seconds" if is_late else f"properly: {type(error).__name__}"
            raise NotDeliveredError(f"the {what} did not answer {failure}") from None
        except (httpx2.InvalidURL, ValueError, RuntimeError, OSError):
            # The original exception may contain the URL, which is a secret, so it is not chained.
            raise NotDeliveredError(f"the {what} at the {where} could not be requested") from None
        finally:
            watch.cancel()


def _body_limit(service: apprise.NotifyBase, title: str) -> int:
    """Return the number of characters that fit into the body, which includes the title if there is no title field."""
    return int(service.body_maxlen) - (0 if service.title_maxlen else len(title) + 8)


def signature_headers(key: str, now: dt.datetime, body: bytes, secret: str) -> dict[str, str]:
    """Return the headers that identify and sign a body.

    The signature is ``v1,`` and the base64 of the HMAC-SHA256 of ``<id>.<timestamp>.<body>``. A secret that begins
    with ``whsec_`` is decoded from base64; any other secret is used as it is. Source: standardwebhooks.com.
    """
    timestamp = str(int(now.timestamp()))
    digest = hmac.new(_secret_bytes(secret), f"{key}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Webhook-Id": key,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": f"v1,{base64.b64encode(digest).decode()}",
        # Messages are delivered at least once, and receivers can use the key to drop a repeated message.
        "Idempotency-Key": key,
    }


def webhook_body(message: Message, now: dt.datetime) -> dict[str, Any]:
    """Return the JSON document of a webhook. docs/alerts.md documents it; keys are only ever added."""
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
        "title": printable(alert.title),
        "message": printable(alert.message),
        "facts": {printable(label): printable(value) for label, value in alert.facts},
        "url": link,
    }


def is_https_or_loopback(url: str) -> bool:
    """Return whether a URL is confidential on the network: https, or plain http to this machine."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in http_client.LOOPBACK)
    except ValueError:
        return False


def read_secret(reference: SecretReference) -> str:
    """Return the value of a secret. Raises `NotDeliveredError` if it cannot be read."""
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
    """Return the wait of the header `Retry-After` if it is a number of seconds, at most one hour."""
    seconds = headers.get("Retry-After", "")
    return dt.timedelta(seconds=min(int(seconds), 3600)) if seconds.isascii() and seconds.isdigit() else None
