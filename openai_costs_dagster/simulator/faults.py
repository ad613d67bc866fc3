"""Chooses the requests that fail on demand, and creates the faulty replies.

This module only creates replies. The server closes, resets and delays connections. Random faults depend only on a seed
that the caller passes.
"""

import random
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from email.utils import formatdate
from enum import StrEnum

from openai_costs_dagster.simulator.error_responses import error_text
from openai_costs_dagster.simulator.pagination import Page
from openai_costs_dagster.simulator.routes import Response

WRONG_ORGANIZATION_ID = "org-SIMULATEDSOMEONEELSE"

_JSON = "application/json"
_HTML = "text/html; charset=UTF-8"


class FaultKind(StrEnum):
    """The kinds of faults that the simulator can produce.

    A fault in `PAGE_FAULTS` applies to the next response that is a page of days. `WRONG_ORGANIZATION` applies to the
    next page whose rows have an organization id, which rows of usage do not have.
    """

    RATE_LIMITED_SECONDS = "429, Retry-After in seconds"
    RATE_LIMITED_DATE = "429, Retry-After as an HTTP date"
    RATE_LIMITED = "429, no Retry-After"
    SERVER_ERROR = "500, JSON"
    BAD_GATEWAY = "502, HTML"
    UNAVAILABLE = "503, JSON"
    GATEWAY_TIMEOUT = "504, HTML"
    HTML = "200, HTML"
    CUT_BODY = "a body shorter than its Content-Length, then a closed connection"
    RESET = "the connection is reset before any response"
    HANG = "no response for some seconds, then the correct one"
    CUT_JSON = "200, half the JSON with a matching Content-Length"
    MORE_WITHOUT_CURSOR = "has_more is true, next_page is null"
    REPEATED_CURSOR = "next_page is the cursor of the same page"
    MISSING_DAY = "a day bucket is missing"
    WRONG_ORGANIZATION = "the rows have another organization_id"


PAGE_FAULTS = frozenset(
    {
        FaultKind.CUT_JSON,
        FaultKind.MORE_WITHOUT_CURSOR,
        FaultKind.REPEATED_CURSOR,
        FaultKind.MISSING_DAY,
        FaultKind.WRONG_ORGANIZATION,
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of one kind.

    `seconds` is the value of the header `Retry-After` in whole seconds, or the duration of a hang. `day` is the day
    that is missing in the page, by default the middle day.
    """

    kind: FaultKind
    seconds: float = 1
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply that the server sends to a client. If `cut` is true, the server sends only half of the body."""

    status: int
    text: str
    content_type: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Target:
    path: str | None
    admin_key: str | None = field(repr=False)

    def matches(self, path: str, admin_key: str | None) -> bool:
        return (self.path is None or self.path == path) and (self.admin_key is None or self.admin_key == admin_key)


@dataclass(slots=True)
class _Ratio:
    share: float
    generator: random.Random
    kinds: Sequence[FaultKind]
    target: _Target


class Faults:
    """The faults that apply to future requests. Safe to use from several threads.

    The arguments `path`, such as ``/v1/organization/costs``, and `admin_key` limit a fault to matching requests.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: list[tuple[Fault, _Target]] = []
        self._ratios: list[_Ratio] = []

    def queue(self, *faults: Fault, path: str | None = None, admin_key: str | None = None) -> None:
        """Apply the faults to the next matching requests, in the given order and one fault per request."""
        target = _Target(path, admin_key)
        with self._lock:
            self._queue.extend((fault, target) for fault in faults)

    def ratio(
        self,
        share: float,
        seed: int,
        kinds: Sequence[FaultKind],
        *,
        path: str | None = None,
        admin_key: str | None = None,
    ) -> None:
        """Apply random faults of the given kinds to a share (0 to 1) of matching requests, until `clear` is called."""
        generator = random.Random(seed)  # noqa: S311  # The seed makes tests repeatable. No secret depends on it.
        with self._lock:
            self._ratios.append(_Ratio(share, generator, tuple(kinds), _Target(path, admin_key)))

    def clear(self) -> None:
        """Remove all faults, so that further requests succeed."""
        with self._lock:
            self._queue.clear()
            self._ratios.clear()

    def take(self, path: str, admin_key: str | None, response: Response) -> Fault | None:
        """Return the fault that applies to a request, or None.

        Queued faults apply once, and come before random faults.
        """
        with self._lock:
            for index, (fault, target) in enumerate(self._queue):
                if target.matches(path, admin_key) and _applies(fault.kind, response):
                    del self._queue[index]
                    return fault
            for ratio in self._ratios:
                if ratio.target.matches(path, admin_key) and ratio.generator.random() < ratio.share:
                    # The kind is drawn even if the fault does not apply. The sequence of faults then depends only on
                    # the sequence of requests.
                    kind = ratio.generator.choice(ratio.kinds)
                    return Fault(kind) if _applies(kind, response) else None
        return None


def _applies(kind: FaultKind, response: Response) -> bool:
    if kind is FaultKind.WRONG_ORGANIZATION:
        return response.page is not None and any('"organization_id"' in text for text in response.page.buckets)
    return kind not in PAGE_FAULTS or (response.page is not None and bool(response.page.buckets))


def apply_fault(response: Response, fault: Fault | None, now: datetime) -> Reply:
    """Return the reply for a response with a fault. A hang only delays the correct response.

    `now` is the time of the simulator, to which dates in headers refer.
    """
    if fault is None:
        return Reply(response.status, response.text)
    if fault.kind in _ERRORS:
        return _error(fault, now)
    if fault.kind is FaultKind.CUT_BODY:
        return Reply(response.status, response.text, cut=True)
    if fault.kind is FaultKind.CUT_JSON:
        return Reply(response.status, response.text[: len(response.text) // 2])
    page = response.page and _faulty_page(response.page, fault)
    return Reply(response.status, page.text if page else response.text)


def _faulty_page(page: Page, fault: Fault) -> Page:
    match fault.kind:
        case FaultKind.MORE_WITHOUT_CURSOR:
            return replace(page, has_more=True, next_page=None)
        case FaultKind.REPEATED_CURSOR:
            return replace(page, has_more=True, next_page=page.cursor)
        case FaultKind.MISSING_DAY:
            missing = fault.day or page.days[len(page.days) // 2]
            others = [(day, text) for day, text in zip(page.days, page.buckets, strict=True) if day != missing]
            return replace(page, days=tuple(day for day, _ in others), buckets=tuple(text for _, text in others))
        case FaultKind.WRONG_ORGANIZATION:
            # Decoding the JSON text could change exact amounts, so the text is edited.
            wrong_id = f'"organization_id": "{WRONG_ORGANIZATION_ID}"'
            buckets = (re.sub(r'"organization_id": "[^"]*"', wrong_id, text) for text in page.buckets)
            return replace(page, buckets=tuple(buckets))
        case _:
            return page


def _error(fault: Fault, now: datetime) -> Reply:
    status, text = _ERRORS[fault.kind]
    headers = {}
    if fault.kind is FaultKind.RATE_LIMITED_SECONDS:
        headers["Retry-After"] = str(int(fault.seconds))
    if fault.kind is FaultKind.RATE_LIMITED_DATE:
        headers["Retry-After"] = formatdate(now.timestamp() + fault.seconds, usegmt=True)
    return Reply(status, text, _JSON if text.startswith("{") else _HTML, headers)


def _json_error(message: str, kind: str, code: str | None = None) -> str:
    return error_text(message, param=None, code=code, kind=kind)


def _html(title: str) -> str:
    return (
        # The proxy in front of the live API may return its own errors, as HTML.
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
    )


_RATE_LIMIT_TEXT = _json_error("Rate limit reached. Please try again later.", "requests", "rate_limit_exceeded")
_ERRORS: dict[FaultKind, tuple[int, str]] = {
    FaultKind.RATE_LIMITED_SECONDS: (429, _RATE_LIMIT_TEXT),
    FaultKind.RATE_LIMITED_DATE: (429, _RATE_LIMIT_TEXT),
    FaultKind.RATE_LIMITED: (429, _RATE_LIMIT_TEXT),
    FaultKind.SERVER_ERROR: (
        500,
        _json_error("The server had an error while processing your request. Sorry about that!", "server_error"),
    ),
    FaultKind.BAD_GATEWAY: (502, _html("502 Bad Gateway")),
    FaultKind.UNAVAILABLE: (
        503,
        _json_error("The server is currently overloaded. Please try again later.", "service_unavailable"),
    ),
    FaultKind.GATEWAY_TIMEOUT: (504, _html("504 Gateway Time-out")),
    # The proxy in front of the live API may also return a page of its own with status 200.
    FaultKind.HTML: (200, _html("Just a moment...")),
}
