"""The HTTP client for one organization: sends GET requests to listed paths and retries temporary errors.

Temporary errors include the status 429 (too many requests), server errors and broken connections. `RetryPolicy` limits
the attempts and their total time, and `_RetryDecision` computes the wait before each attempt.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec
import stamina

from openai_costs_dagster import http_client
from openai_costs_dagster.api import error_responses, errors
from openai_costs_dagster.api.server_clock import ServerClock
from openai_costs_dagster.api.unicode_repair import repair_escapes, repair_utf8
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.http_deadline import Deadline
from openai_costs_dagster.redaction import redact
from openai_costs_dagster.version import __version__

READABLE_PATHS = (
    re.compile(r"/organization/costs"),
    re.compile(r"/organization/usage/[a-z_]+"),
    re.compile(r"/organization/(projects|users|admin_api_keys|spend_limit|spend_alerts)"),
    re.compile(r"/organization/projects/[\w-]+/api_keys"),
)
"""The only paths that the client requests. An admin key could also change the organization, so no other path is
allowed."""

_LOG = logging.getLogger(__name__)
# Users report that some costs responses take 30 to 90 seconds.
_TIMEOUT = httpx2.Timeout(connect=20.0, read=120.0, write=20.0, pool=20.0)
_MIB = 1024 * 1024
# The size after decompression: half a million rows. A page of costs or usage that is larger is requested again with
# fewer days, so only a single day can exceed the limit.
_MAX_RESPONSE_BYTES = 256 * _MIB
_MAX_ERROR_BYTES = 65_536
_FIRST_BACKOFF_S, _MAX_BACKOFF_S = 0.5, 60.0
# If the server asks for a longer wait, the request fails and the next scheduled refresh tries again.
_MAX_RETRY_AFTER_S = 180.0

_HEADER_VALUE = re.compile(r"[!-~]+")
_NON_ADMIN_PREFIXES = {"sk-proj-": "a project key", "sk-svcacct-": "a service account's key"}

Query = Sequence[tuple[str, str]]
Response = TypeVar("Response")


@dataclass(frozen=True)
class RetryPolicy:
    """The limits of a request: the attempts after temporary errors, and times in seconds."""

    attempts: int = 10
    seconds: float = 900.0
    """The total time of all attempts in seconds, after which no further attempt begins."""
    response_seconds: float = 180.0
    """The time for one complete response: twice the slowest response that users report."""


BACKGROUND = RetryPolicy()
"""The retry policy of background runs: many attempts, because no person waits for the result."""
INTERACTIVE = RetryPolicy(attempts=3, seconds=20.0, response_seconds=60.0)
"""The retry policy of interactive commands: few attempts, because a person waits for the result."""


@dataclass(frozen=True)
class ConnectionSettings:
    """The base URL, admin key and proxy of an organization.

    The key and the proxy are functions, because each new client reads them again. A rotated key therefore needs no
    restart.
    """

    base_url: str
    read_admin_key: Callable[[], str]
    read_proxy: Callable[[], str | None] = lambda: None


class AdminApi:
    """A client for one organization, and the only holder of its admin key.

    An instance must not be shared between threads. Use it as a context manager, so that its connections are closed.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        *,
        transport: httpx2.BaseTransport | None = None,
        now: Callable[[], dt.datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        retry_policy: RetryPolicy = BACKGROUND,
    ) -> None:
        """Create the client without sending a request. `transport` replaces the network in tests.

        `now` is the local clock, and `monotonic` measures the time of a response in seconds.

        Raises AuthenticationFailed if the key cannot be an admin key, and RequestRefused if the base URL, the proxy or
        the certificates are unusable. Errors of `settings.read_admin_key` and `settings.read_proxy` are not caught.
        """
        key, configured = settings.read_admin_key(), settings.read_proxy()
        _reject_unusable_key(key)
        self._admin_key = key
        self._secrets = [key]
        self._base_url = settings.base_url
        self._now = now
        self._retry_policy = retry_policy
        self._deadline = Deadline(monotonic)
        self._host = _host_of(settings.base_url)
        self.server_clock = ServerClock(self._host)
        """The time of the API server, estimated from the headers of the responses so far."""
        self.requests = 0
        """The number of requests that this client has sent, including retries."""
        try:
            self._proxy = http_client.find_proxy(settings.base_url, configured) if transport is None else None
            self._secrets += self._proxy.secrets if self._proxy else []
            self._client = http_client.create_client(
                settings.base_url,
                proxy=self._proxy,
                deadline=self._deadline,
                base_url=settings.base_url.rstrip("/"),
                headers={"Authorization": f"Bearer {key}", "User-Agent": f"openai-costs-dagster/{__version__}"},
                timeout=_TIMEOUT,
                transport=transport,
            )
        except http_client.HttpSettingsError as error:
            raise errors.RequestRefused(redact(str(error), self._secrets)) from None
        except (ValueError, httpx2.InvalidURL) as error:
            raise errors.RequestRefused(redact(f"base_url is not a valid URL: {error}", self._secrets)) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def server_time(self) -> dt.datetime:
        """Return the time of the server, or of the local clock if no response has shown the server's time."""
        return self.server_clock.time_at(self._now())

    @property
    def fingerprint(self) -> bytes:
        """The SHA-256 digest of the base URL and the admin key. Equal digests mean the same key at the same server."""
        return hashlib.sha256(f"{self._base_url}\n{self._admin_key}".encode()).digest()

    def is_own(self, redacted_key: str | None) -> bool:
        """Whether OpenAI's redacted form of a key, such as ``sk-admin...def``, fits the admin key of this client."""
        prefix, dots, suffix = (redacted_key or "").partition("...")
        return bool(dots and suffix) and self._admin_key.startswith(prefix) and self._admin_key.endswith(suffix)

    def get(self, path: str, query: Query, kind: type[Response]) -> Response:
        """Request a path and decode its JSON as `kind`. Temporary errors are retried within the retry policy.

        Raises an `ApiError`. The module `errors` lists the subclasses.
        """
        if not any(pattern.fullmatch(path) for pattern in READABLE_PATHS):
            raise errors.RequestRefused(f"the path {path} is not in the list of paths that this program may request")
        for attempt in stamina.retry_context(
            on=_RetryDecision(self._retry_policy),
            attempts=self._retry_policy.attempts,
            timeout=self._retry_policy.seconds,
        ):
            with attempt:
                return self._get_once(path, query, kind)
        raise AssertionError("stamina ends a retry loop by returning or raising")

    def _get_once(self, path: str, query: Query, kind: type[Response]) -> Response:
        self.requests += 1
        self._deadline.start(self._retry_policy.response_seconds)
        try:
            with self._client.stream("GET", path, params=list(query)) as response:
                self.server_clock.observe(response.headers, self._now())
                if response.status_code != 200:
                    raise self._error(response.status_code, self._read_start(response), response.headers)
                body = self._read(response)
        except (httpx2.InvalidURL, UnicodeError) as error:
            raise errors.RequestRefused(redact(f"the URL is not valid: {error}", self._secrets)) from None
        except httpx2.RequestError as error:
            raise self._connection_error(error) from None
        return self._decode(body, response.headers, kind)

    def _read(self, response: httpx2.Response) -> bytes:
        """Return the decoded body. Raises ResponseTooLarge and ResponseTooSlow.

        httpx2 decodes at most one MiB at a time, so a small body that decompresses to gigabytes stops at the limit.
        """
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > _MAX_RESPONSE_BYTES:
                limit = f"{_MAX_RESPONSE_BYTES // _MIB} MiB, the limit for one response"
                raise errors.ResponseTooLarge(f"the response of {self._host} is larger than {limit}")
            if self._deadline.is_over:
                raise self._too_slow()
            chunks.append(chunk)
        return b"".join(chunks)

    def _read_start(self, response: httpx2.Response) -> bytes:
        """Return the beginning of an error response, which is long enough for any message of OpenAI."""
        body = b""
        for chunk in response.iter_bytes():
            body += chunk[:_MAX_ERROR_BYTES]
            if len(body) >= _MAX_ERROR_BYTES:
                break
            if self._deadline.is_over:
                raise self._too_slow()
        return body

    def _decode(self, content: bytes, headers: Mapping[str, str], kind: type[Response]) -> Response:
        body = repair_escapes(content)
        try:
            try:
                return msgspec.json.decode(body, type=kind)
            except UnicodeDecodeError:
                # Invalid UTF-8 is rare, so the repair runs only after a failure. The buckets of a page stay bytes and
                # are repaired one by one in `pagination`: to repair a whole page takes several times its memory.
                return msgspec.json.decode(repair_utf8(body), type=kind)
        except msgspec.ValidationError as error:
            if error_responses.is_error_body(content):
                raise errors.MalformedResponse("the server returned an error with status 200", status=200) from None
            message = redact(f"the response does not have the documented format: {error}", self._secrets)
            raise errors.UnexpectedSchema(message, status=200) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            content_type = headers.get("content-type", "no content type")
            message = redact(f"the response is not valid JSON ({content_type}): {error}", self._secrets)
            raise errors.MalformedResponse(message, status=200) from None

    def _too_slow(self) -> errors.ResponseTooSlow:
        limit = f"{self._retry_policy.response_seconds:g} seconds, the limit for one response"
        return errors.ResponseTooSlow(f"the response of {self._host} was not complete within {limit}")

    def _connection_error(self, error: httpx2.RequestError) -> errors.ApiError:
        if self._deadline.is_over:
            return self._too_slow()
        message = redact(http_client.failure_message(error, self._proxy), self._secrets)
        return errors.ConnectionRejected(message) if http_client.is_permanent(error) else errors.Unreachable(message)

    def _error(self, status: int, body: bytes, headers: Mapping[str, str]) -> errors.ApiError:
        if status == 407:
            return self._connection_error(httpx2.ProxyError("407 Proxy Authentication Required"))
        error = error_responses.error_from_response(status, body, headers, self.server_time())
        error.args = (redact(str(error), self._secrets),)
        if error.is_unrecognized:
            _log_unrecognized(redact(error_responses.summary(body), self._secrets))
        return error


@cache  # The cache limits the log to one line per process and reason: a backfill repeats the same refusal many times.
def _log_unrecognized(reason: str) -> None:
    _LOG.warning("OpenAI rejected a request for a reason that this program does not recognize: %s", reason)


def _host_of(base_url: str) -> str:
    try:
        return urlsplit(base_url).hostname or "the server"
    except ValueError:
        return "the server"


def _reject_unusable_key(key: str) -> None:
    """Raise AuthenticationFailed, without a request, for a key that cannot read the costs of an organization."""
    if not _HEADER_VALUE.fullmatch(key):
        raise errors.AuthenticationFailed(
            "the key contains characters that no key has (a line break, a space, or the dots of a shortened key): "
            "copy the whole key"
        )
    for prefix, kind in _NON_ADMIN_PREFIXES.items():
        if key.startswith(prefix):
            raise errors.AuthenticationFailed(
                f"{prefix}... is {kind}, which cannot read an organization's costs: "
                "create an admin key (organization settings, Admin keys)"
            )


class _RetryDecision:
    """Return the seconds to wait before a failed request is repeated, or False. Used as a hook of stamina.

    The wait grows exponentially, with a random part. The header `Retry-After`, which OpenAI sends with the status 429,
    can lengthen the wait but never shortens it: with `Retry-After: 0`, all attempts would be used up within a second.
    """

    def __init__(self, retry_policy: RetryPolicy) -> None:
        self._seconds_left = retry_policy.seconds
        self._backoff = _FIRST_BACKOFF_S

    def __call__(self, error: Exception) -> bool | float:
        if not isinstance(error, errors.TransientApiError) or isinstance(error, errors.ResponseTooSlow):
            return False
        requested = error.retry_after or 0.0
        jitter = random.random()  # noqa: S311  # It spreads the retries of several processes and protects no secret.
        wait = max(requested, min(_MAX_BACKOFF_S, self._backoff + jitter))
        self._backoff *= 2
        # The sum of all waits must not exceed the total time of the retry policy.
        if requested > _MAX_RETRY_AFTER_S or wait > self._seconds_left:
            return False
        self._seconds_left -= wait
        return wait
