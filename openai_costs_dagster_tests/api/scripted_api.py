"""An Admin API that answers by a script, and the pages that it may answer with."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Any

import httpx2

from openai_costs_dagster.api.client import BACKGROUND, AdminApi, ConnectionSettings, RetryPolicy
from openai_costs_dagster.days import DayRange, unix_midnight

KEY = "sk-admin-" + "Scripted0123456789abcd"  # made up; in two parts, for scanners take the whole for a real one
NOW = dt.datetime(2026, 3, 11, 14, 30, tzinfo=dt.UTC)
FIRST = dt.date(2026, 3, 1)

Answer = httpx2.Response | Exception


class Script:
    """Gives its answers one by one, the last one for ever; an exception is raised as the connection's failure."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx2.Request] = []
        self._answers = answers

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

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
    """A page of buckets, a day being an empty one; there is more where a token says so, unless told."""
    data = [bucket(one) if isinstance(one, dt.date) else one for one in buckets]
    more = next_page is not None if has_more is None else has_more
    body = {"object": "page", "data": data, "has_more": more, "next_page": next_page}
    content = json.dumps(body, separators=(",", ":")).encode()  # ASCII: half a surrogate pair goes out as its escape
    return httpx2.Response(200, headers={"Content-Type": "application/json"}, content=content)


def refusal(status: int, message: Any = "no", headers: Sequence[tuple[str, str]] = (), **more: Any) -> httpx2.Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **more}}
    return httpx2.Response(status, headers=list(headers), content=json.dumps(body).encode())
