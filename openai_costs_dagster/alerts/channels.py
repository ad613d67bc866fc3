"""Channels that receive alerts: services that Apprise supports, and signed webhooks.

A new kind of channel is a class that implements `Channel`. The function `routing._channel` creates channels from the
settings `alerts`. The URL of a channel is a secret: it is read when a message is sent, and error messages never contain
it.
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
"""The number of seconds in which a channel must accept a message."""

_TYPES = {"high": apprise.NotifyType.FAILURE, "medium": apprise.NotifyType.WARNING, "low": apprise.NotifyType.INFO}

# Apprise and httpx2 log the URLs that they request. The URL of a channel is a secret and must not be logged.
logging.getLogger("apprise").setLevel(logging.CRITICAL)
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class NotDeliveredError(Exception):
    """Raised if an attempt to send a message fails. The message never contains the URL of the channel."""

    def __init__(self, message: str, *, retry_after: dt.timedelta | None = None) -> None:
        """Create the error. `retry_after` is the wait that the receiver requested with the header `Retry-After`."""
        super().__init__(message)
        self.retry_after = retry_after


class Channel(Protocol):
    """A receiver of messages, such as a chat or a webhook."""

    def send(self, message: Message, now: dt.datetime) -> None:
        """Send a message. Raises `NotDeliveredError` if the channel does not accept it."""


@dataclass(frozen=True)
class AppriseChannel:
    """A service that Apprise supports, for example Slack or email."""

    url: SecretReference

    def send(self, message: Message, now: dt.datetime) -> None:  # noqa: ARG002  # required by `Channel`
        """Send the message as plain text, with its chart as an attachment if the service supports attachments."""
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
            # With this format, Apprise escapes the text for services that send HTML or Markdown. Without the format, a
            # project or user name could contain markup that such a service displays.
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
        """Post the message once, without following redirects. Any status other than 2xx is a failure.

        Raises `NotDeliveredError` if the webhook does not accept the message.
        """
        url = read_secret(self.url)
        if not is_https_or_loopback(url):
            raise NotDeliveredError(f"the {self.url} contains no https URL")
        # The signature covers the exact bytes of the body, so the same serialized document must be signed and sent.
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
    """Request a URL once, and return the status and the wait that the header `Retry-After` requests.

    Redirects are not followed, and the body of the response is not read. `what` and `where` name the receiver in error
    messages, which never contain the URL. Raises `NotDeliveredError` if the request fails.
    """
    try:
        made = http_client.create_client(
            url, proxy=http_client.find_proxy(url), timeout=TIMEOUT_S, follow_redirects=False
        )
    except http_client.HttpSettingsError as error:
        raise NotDeliveredError(str(error)) from None
    with made as client:
        # The client's timeout restarts with every received byte. A server that sends its headers very slowly could
        # block the delivery without this timer.
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
    """Return the largest number of characters for the body of a message.

    If the service has no field for the title, Apprise puts the title into the body.
    """
    return int(service.body_maxlen) - (0 if service.title_maxlen else len(title) + 8)


def signature_headers(key: str, now: dt.datetime, body: bytes, secret: str) -> dict[str, str]:
    """Return the headers that identify and sign the body of a webhook request.

    The signature is ``v1,`` and the base64 of the HMAC-SHA256 of ``<id>.<timestamp>.<body>``. A secret that begins with
    ``whsec_`` is decoded from base64. Any other secret is used unchanged. Source: standardwebhooks.com.
    """
    timestamp = str(int(now.timestamp()))
    digest = hmac.new(_secret_bytes(secret), f"{key}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Webhook-Id": key,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": f"v1,{base64.b64encode(digest).decode()}",
        # A message may be sent twice, and receivers can recognize the second one by this key.
        "Idempotency-Key": key,
    }


def webhook_body(message: Message, now: dt.datetime) -> dict[str, Any]:
    """Return the JSON document of a webhook.

    docs/alerts.md documents the document. Keys may be added, but never removed or renamed, because receivers depend on
    them.
    """
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
    """Return whether nobody on the network can read a request to the URL: https, or plain http to this machine."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in http_client.LOOPBACK)
    except ValueError:
        return False


def read_secret(reference: SecretReference) -> str:
    """Return the value of a secret. Raises `NotDeliveredError` if the secret cannot be read."""
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
    """Return the wait that the header `Retry-After` requests in seconds, at most one hour.

    Return None if the header is missing or contains a date.
    """
    seconds = headers.get("Retry-After", "")
    return dt.timedelta(seconds=min(int(seconds), 3600)) if seconds.isascii() and seconds.isdigit() else None
