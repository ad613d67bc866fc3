"""One organization's line to the Admin API: GET alone, listed paths alone, retried within bounds.

This room must never write to OpenAI, never let a key out, and never guess: what cannot be understood raises.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Self, TypeVar

import httpx2
import msgspec
import stamina

from openai_costs_dagster import http_client
from openai_costs_dagster.api import error_responses, errors
from openai_costs_dagster.api.unicode_repair import as_utf8, with_storable_escapes
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.redaction import redact
from openai_costs_dagster.version import __version__

READABLE_PATHS = (
    re.compile(r"/organization/costs"),
    re.compile(r"/organization/usage/[a-z_]+"),
    re.compile(r"/organization/(projects|users|admin_api_keys|spend_limit|spend_alerts)"),
    re.compile(r"/organization/projects/[\w-]+/api_keys"),
)
"""The only paths that are ever asked for; everything is GET."""

_LOG = logging.getLogger(__name__)
_TIMEOUT = httpx2.Timeout(connect=20.0, read=120.0, write=20.0, pool=20.0)  # answers of 30-90 s are reported
_LONGEST_WAIT = 60.0
_LONGEST_RETRY_AFTER = 180.0  # seconds; a server that asks for more is left alone until the next tick

_HEADER_VALUE = re.compile(r"[!-~]+")
_OTHER_KINDS = {"sk-proj-": "a project key", "sk-svcacct-": "a service account's key"}

Query = Sequence[tuple[str, str]]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class RetryPolicy:
    """How long what may pass is asked for again: at most so many attempts, within so many seconds."""

    attempts: int = 10
    seconds: float = 900.0


BACKGROUND = RetryPolicy()
INTERACTIVE = RetryPolicy(attempts=5, seconds=60.0)


@dataclass(frozen=True)
class ConnectionSettings:
    """Where an organization is read and how; secrets are read when used, so that rotating needs no restart."""

    base_url: str
    read_admin_key: Callable[[], str]
    read_proxy: Callable[[], str | None] = lambda: None


class AdminApi:
    """Reads one organization. Not for several threads at once; close it or use it as a context manager."""

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        transport: httpx2.BaseTransport | None = None,
        now: Callable[[], dt.datetime] = utc_now,
        retry_policy: RetryPolicy = BACKGROUND,
    ) -> None:
        """Raises AuthenticationFailed for a key that cannot be an admin key, RequestRefused for unusable HTTP settings.

        What the endpoint's readers raise comes through.
        """
        key, configured = settings.read_admin_key(), settings.read_proxy()
        _refuse_other_kinds(key)
        self._admin_key = key
        self._secrets = [key]
        self._base_url = settings.base_url
        self._now = now
        self._retry_policy = retry_policy
        self.requests = 0
        """How many requests were sent so far, retries included."""
        try:
            self._proxy = http_client.find_proxy(settings.base_url, configured) if transport is None else None
            self._secrets += self._proxy.secrets if self._proxy else []
            self._client = http_client.create_client(
                settings.base_url,
                proxy=self._proxy,
                base_url=settings.base_url.rstrip("/"),
                headers={"Authorization": f"Bearer {key}", "User-Agent": f"openai-costs-dagster/{__version__}"},
                timeout=_TIMEOUT,
                transport=transport,
            )
        except http_client.HttpSettingsError as error:
            raise errors.RequestRefused(redact(str(error), self._secrets)) from None
        except (ValueError, httpx2.InvalidURL) as error:
            raise errors.RequestRefused(redact(f"base_url is not usable: {error}", self._secrets)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def fingerprint(self) -> bytes:
        """The SHA-256 digest of the base URL and the admin key. Equal digests mean the same key at the same server."""
        return hashlib.sha256(f"{self._base_url}\n{self._admin_key}".encode()).digest()

    def is_own(self, redacted_key: str | None) -> bool:
        """Whether OpenAI's redacted form of a key, such as ``sk-admin...def``, fits the admin key of this client."""
        prefix, dots, suffix = (redacted_key or "").partition("...")
        return bool(dots and suffix) and self._admin_key.startswith(prefix) and self._admin_key.endswith(suffix)

    def get(self, path: str, query: Query, answer: type[Answer]) -> Answer:
        """Reads a path and decodes its JSON; retries what may pass, within its retry_policy.

        Raises an `ApiError`: see its tree.
        """
        if not any(pattern.fullmatch(path) for pattern in READABLE_PATHS):
            raise errors.RequestRefused(f"{path} is not on the list of paths that may be read")
        for attempt in stamina.retry_context(
            on=_Pauses(self._retry_policy),
            attempts=self._retry_policy.attempts,
            timeout=self._retry_policy.seconds,
            wait_initial=0.5,
            wait_max=_LONGEST_WAIT,
            wait_jitter=1.0,
        ):
            with attempt:
                return self._get_once(path, query, answer)
        raise AssertionError("stamina ends a retry loop by returning or raising")

    def _get_once(self, path: str, query: Query, answer: type[Answer]) -> Answer:
        self.requests += 1
        try:
            response = self._client.get(path, params=list(query))
        except (httpx2.InvalidURL, UnicodeError) as error:
            raise errors.RequestRefused(redact(f"the address is not usable: {error}", self._secrets)) from None
        except httpx2.RequestError as error:
            raise errors.Unreachable(self._describe(error)) from None
        if response.status_code != 200:
            raise self._refusal(response.status_code, response.content, response.headers)
        return self._decode(response, answer)

    def _decode(self, response: httpx2.Response, answer: type[Answer]) -> Answer:
        body = with_storable_escapes(response.content)
        try:
            try:
                return msgspec.json.decode(body, type=answer)
            except UnicodeDecodeError:  # rare; a page's buckets are checked one by one, which needs less memory
                return msgspec.json.decode(as_utf8(body), type=answer)
        except msgspec.ValidationError as error:
            if error_responses.is_error(response.content):
                raise errors.MalformedResponse("an error came with status 200", status=200) from None
            said = redact(f"the answer has another shape than the API documents: {error}", self._secrets)
            raise errors.UnexpectedSchema(said, status=200) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            kind = response.headers.get("content-type", "no content type")
            said = redact(f"the answer is no page of JSON ({kind}): {error}", self._secrets)
            raise errors.MalformedResponse(said, status=200) from None

    def _describe(self, error: httpx2.RequestError) -> str:
        words = str(error) or type(error).__name__
        if isinstance(error, httpx2.TimeoutException):
            words = f"no answer in time ({type(error).__name__})"
        through = f" (through the proxy that {self._proxy.source} names)" if self._proxy else ""
        return redact(words + through, self._secrets)

    def _refusal(self, status: int, body: bytes, headers: Mapping[str, str]) -> errors.ApiError:
        refusal = error_responses.error_from_response(status, body, headers.get("retry-after"), self._now())
        refusal.args = (redact(str(refusal), self._secrets),)
        if refusal.is_unrecognized:
            _log_once(redact(error_responses.summary(body), self._secrets))
        return refusal


@cache
def _log_once(refusal: str) -> None:
    _LOG.warning("OpenAI refused a request for a reason that this program does not know: %s", refusal)


def _refuse_other_kinds(key: str) -> None:
    """Project and service account keys cannot read an organization's costs: no request is wasted on them."""
    if not _HEADER_VALUE.fullmatch(key):
        raise errors.AuthenticationFailed(
            "the key holds characters that no key has (a line break, a blank, or the dots of a shortened display): "
            "copy it whole"
        )
    for prefix, kind in _OTHER_KINDS.items():
        if key.startswith(prefix):
            raise errors.AuthenticationFailed(
                f"{prefix}... is {kind}, which cannot read an organization's costs: "
                "create an admin key (organization settings, Admin keys)"
            )


class _Pauses:
    """Whether to ask again, or the seconds that the server asked us to wait first (stamina's backoff hook)."""

    def __init__(self, retry_policy: RetryPolicy) -> None:
        self._left = retry_policy.seconds

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, errors.TransientApiError):
            return False
        wait = error.retry_after
        if wait is None:
            return True
        if wait > min(_LONGEST_RETRY_AFTER, self._left):
            return False
        self._left -= wait
        return wait
