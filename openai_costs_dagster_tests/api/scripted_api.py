"""A scripted Admin API for tests, and helpers that build its responses."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

import httpx2

from openai_costs_dagster.api.client import BACKGROUND, AdminApi, ConnectionSettings, RetryPolicy
from openai_costs_dagster.days import DayRange, unix_midnight

KEY = "sk-admin-" + "Scripted0123456789abcd"  # A fake key, split in two so that secret scanners do not report it.
NOW = dt.datetime(2026, 3, 11, 14, 30, tzinfo=dt.UTC)
FIRST = dt.date(2026, 3, 1)

Reply = httpx2.Response | Exception


class Script:
    """A transport that returns the given responses in order and repeats the last one.

    An exception in place of a response is raised as a connection failure.
    """

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[httpx2.Request] = []
        self._replies = replies

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        reply = self._replies[min(len(self.requests), len(self._replies) - 1)]
        self.requests.append(request)
        if isinstance(reply, Exception):
            raise reply
        return httpx2.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def queries(self) -> list[list[tuple[str, str]]]:
        return [request.url.params.multi_items() for request in self.requests]

    def api(self, *, key: str = KEY, retry_policy: RetryPolicy = BACKGROUND) -> AdminApi:
        settings = ConnectionSettings("https://api.example/v1", lambda: key)
        return AdminApi(settings, transport=httpx2.MockTransport(self), now=lambda: NOW, retry_policy=retry_policy)


def days(count: int, first: dt.date = FIRST) -> DayRange:
    return DayRange(first, first + dt.timedelta(days=count - 1))


def bucket(day: dt.date, *rows: dict[str, Any]) -> dict[str, Any]:
    start = unix_midnight(day)
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(rows)}


def page(
    buckets: Iterable[dict[str, Any] | dt.date], next_page: str | None = None, *, has_more: bool | None = None
) -> httpx2.Response:
    """Return a page of buckets. A day stands for an empty bucket. `has_more` follows from `next_page` by default."""
    data = [bucket(item) if isinstance(item, dt.date) else item for item in buckets]
    more = next_page is not None if has_more is None else has_more
    body = {"object": "page", "data": data, "has_more": more, "next_page": next_page}
    content = json.dumps(
        body, separators=(",", ":")
    ).encode()  # `json.dumps` escapes unpaired surrogates, which UTF-8 cannot encode.
    return httpx2.Response(200, headers={"Content-Type": "application/json"}, content=content)


def refusal(status: int, message: Any = "no", headers: Sequence[tuple[str, str]] = (), **more: Any) -> httpx2.Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}
    return httpx2.Response(status, headers=list(headers), content=json.dumps(body).encode())
