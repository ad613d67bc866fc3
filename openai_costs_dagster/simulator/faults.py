"""Breakages on demand: which request is broken, and what is sent instead of its answer.

What to send is decided here, purely; the sockets that it takes are the server's. Nothing here is random
beyond a seed that the caller gives.
"""

import random
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from email.utils import formatdate
from enum import StrEnum

from openai_costs_dagster.simulator.error_responses import error_text
from openai_costs_dagster.simulator.pagination import Page
from openai_costs_dagster.simulator.routes import Response

WRONG_ORGANIZATION_ID = "org-SIMULATEDSOMEONEELSE"

_JSON = "application/json"
_HTML = "text/html; charset=UTF-8"


class FaultKind(StrEnum):
    """What can go wrong. Those of `PAGE_FAULTS` need a page to spoil and wait for one.

    The wrong organization waits for rows that tell one: those of usage do not.
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
    RESET = "the connection is reset before any answer"
    HANG = "no answer for some seconds, then the right one"
    CUT_JSON = "200, half the JSON with a Content-Length that fits it"
    MORE_WITHOUT_CURSOR = "has_more is true, next_page is null"
    REPEATED_CURSOR = "next_page leads to the page that it stands on"
    MISSING_DAY = "a day bucket is left out"
    WRONG_ORGANIZATION = "the rows tell another organization_id"


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
    """One breakage.

    `seconds` is the Retry-After (whole seconds) or how long to hang; `day` is the bucket to leave out, else
    the middle one of the page.
    """

    kind: FaultKind
    seconds: float = 1
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes over the wire. With `cut`, only half of the body does."""

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
    dice: random.Random
    kinds: Sequence[FaultKind]
    target: _Target


class Faults:
    """The breakages that wait for a request. Safe to use from any thread.

    `path` ("/v1/organization/costs") and `admin_key` limit a breakage to the requests that have them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: list[tuple[Fault, _Target]] = []
        self._ratios: list[_Ratio] = []

    def queue(self, *faults: Fault, path: str | None = None, admin_key: str | None = None) -> None:
        """Break the next matching requests, one fault each, in this order."""
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
        """Break a share (0 to 1) of all matching requests until `clear`, each with one of the kinds."""
        dice = random.Random(seed)  # noqa: S311  # repeatable, not secret
        with self._lock:
            self._ratios.append(_Ratio(share, dice, tuple(kinds), _Target(path, admin_key)))

    def clear(self) -> None:
        """Forget everything that was to break."""
        with self._lock:
            self._queue.clear()
            self._ratios.clear()

    def take(self, path: str, admin_key: str | None, answer: Response) -> Fault | None:
        """The fault for this request, if any, which is then spent. Queued faults go before random ones."""
        with self._lock:
            for index, (fault, target) in enumerate(self._queue):
                if target.matches(path, admin_key) and _applies(fault.kind, answer):
                    del self._queue[index]
                    return fault
            for ratio in self._ratios:
                if ratio.target.matches(path, admin_key) and ratio.dice.random() < ratio.share:
                    kind = ratio.dice.choice(ratio.kinds)
                    return Fault(kind) if _applies(kind, answer) else None
        return None


def _applies(kind: FaultKind, answer: Response) -> bool:
    if kind is FaultKind.WRONG_ORGANIZATION:
        return answer.page is not None and any('"organization_id"' in text for text in answer.page.buckets)
    return kind not in PAGE_FAULTS or (answer.page is not None and bool(answer.page.buckets))


def apply_fault(answer: Response, fault: Fault | None) -> Reply:
    """What is sent for an answer under a fault; a hang sends the right answer, later."""
    if fault is None:
        return Reply(answer.status, answer.text)
    if fault.kind in _ERRORS:
        return _error(fault)
    if fault.kind is FaultKind.CUT_BODY:
        return Reply(answer.status, answer.text, cut=True)
    if fault.kind is FaultKind.CUT_JSON:
        return Reply(answer.status, answer.text[: len(answer.text) // 2])
    page = answer.page and _faulty_page(answer.page, fault)
    return Reply(answer.status, page.text if page else answer.text)


def _faulty_page(page: Page, fault: Fault) -> Page:
    match fault.kind:
        case FaultKind.MORE_WITHOUT_CURSOR:
            return replace(page, has_more=True, next_page=None)
        case FaultKind.REPEATED_CURSOR:
            return replace(page, has_more=True, next_page=page.cursor)
        case FaultKind.MISSING_DAY:
            missing = fault.day or page.days[len(page.days) // 2]
            kept = [(day, text) for day, text in zip(page.days, page.buckets, strict=True) if day != missing]
            return replace(page, days=tuple(day for day, _ in kept), buckets=tuple(text for _, text in kept))
        case FaultKind.WRONG_ORGANIZATION:
            told = f'"organization_id": "{WRONG_ORGANIZATION_ID}"'
            buckets = (re.sub(r'"organization_id": "[^"]*"', told, text) for text in page.buckets)
            return replace(page, buckets=tuple(buckets))
        case _:
            return page


def _error(fault: Fault) -> Reply:
    status, text = _ERRORS[fault.kind]
    headers = {}
    if fault.kind is FaultKind.RATE_LIMITED_SECONDS:
        headers["Retry-After"] = str(int(fault.seconds))
    if fault.kind is FaultKind.RATE_LIMITED_DATE:
        headers["Retry-After"] = formatdate(time.time() + fault.seconds, usegmt=True)
    return Reply(status, text, _JSON if text.startswith("{") else _HTML, headers)


def _json_error(message: str, kind: str, code: str | None = None) -> str:
    return error_text(message, param=None, code=code, kind=kind)


def _html(title: str) -> str:
    return (
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
    FaultKind.HTML: (200, _html("Just a moment...")),
}
