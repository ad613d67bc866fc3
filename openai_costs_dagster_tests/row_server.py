"""A small Admin API that serves the rows of a test, for cases that the simulator does not generate.

`rows(day)` returns cost rows before grouping, with `amount` and `currency` as two fields. `usage(operation, day)`
returns usage rows. The server groups the rows, splits them into pages and refuses queries as docs/openai-api.md
describes. It shares no code with the product or the simulator, so that an error in either of them is found.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretReference

# An invented key. It is written in two parts so that secret scanners do not take it for a real one.
KEY = "sk-admin-" + "RowServer0123456789"

Row = dict[str, Any]
Query = dict[str, list[str]]

COSTS = "/organization/costs"
USAGE = "/organization/usage/"
_DAY = 86_400
_DIMENSIONS = ("project_id", "user_id", "line_item", "api_key_id")
_USAGE_GROUPS = (
    "project_id",
    "user_id",
    "api_key_id",
    "model",
    "batch",
    "service_tier",
    "size",
    "source",
    "vector_store_id",
    "context_level",
)
_LISTS = {
    "/organization/projects": "projects",
    "/organization/users": "users",
    "/organization/admin_api_keys": "admin_keys",
}


@dataclass(frozen=True)
class Refusal:
    """An error response."""

    status: int
    message: str = "no"
    param: str | None = None
    code: str | None = "invalid_request_error"

    @property
    def body(self) -> bytes:
        """The response body in the format that OpenAI publishes."""
        error = {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": self.code}
        return json.dumps({"error": error}).encode()


@dataclass
class RowServer:
    """Serves one organization at `base_url` inside a ``with`` block.

    Hooks change the responses: `result(day, row)` changes a row, `page(path, page)` changes a page or returns the bytes
    to send, and `respond(path, query)` returns a response in place of all of these, or None. `users_with_projects` and
    `api_keys_from` restrict the groupings that are served. `now` is the time of the header `Date`, which is omitted
    without it. `requests` records the path and query of every request.
    """

    rows: Callable[[dt.date], Iterable[Row]] = lambda _day: ()
    usage: Callable[[str, dt.date], Iterable[Row]] = lambda _operation, _day: ()
    today: Callable[[], dt.date] = lambda: dt.datetime.now(dt.UTC).date()
    result: Callable[[dt.date, Row], Row] = lambda _day, row: row
    page: Callable[[str, dict[str, Any]], dict[str, Any] | bytes] = lambda _path, page: page
    respond: Callable[[str, Query], Refusal | bytes | None] = lambda _path, _query: None
    projects: Sequence[Row] = ()
    users: Sequence[Row] = ()
    api_keys: Sequence[Row] = ()
    admin_keys: Sequence[Row] = ()
    users_with_projects: bool = True
    api_keys_from: dt.date | None = None
    now: Callable[[], dt.datetime] | None = None
    requests: list[tuple[str, Query]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def base_url(self) -> str:
        """The value for the setting `base_url` of an organization."""
        assert self._server is not None, "the server is not running"
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"server_of_rows": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        assert server is not None
        server.shutdown()
        server.server_close()

    def organization(self, folder: Path, name: str = "acme", **settings: Any) -> Organization:
        """Return the configuration of this server's organization, with its key in a file in `folder`."""
        file = folder / f"{name}.key"
        file.write_text(KEY, encoding="utf-8")
        return Organization(name=name, admin_key=SecretReference(file=file), base_url=self.base_url, **settings)

    def respond_to(self, path: str, query: Query) -> tuple[int, bytes]:
        """Return the status and the body of the response to a request."""
        response = self.respond(path, query)
        if response is None:
            response = self._default_response(path, query)
        return (response.status, response.body) if isinstance(response, Refusal) else (200, response)

    def _default_response(self, path: str, query: Query) -> Refusal | bytes:
        if path == COSTS or path.startswith(USAGE):
            return self._refusal(path, query) or self._page(path, query)
        if path.endswith("/api_keys"):
            project = path.split("/")[-2]
            return _json({"data": [key for key in self.api_keys if key.get("project_id") == project]})
        if path in _LISTS:
            return _json({"data": list(getattr(self, _LISTS[path])), "has_more": False})
        return Refusal(404, f"Invalid URL (GET {path})")

    def _refusal(self, path: str, query: Query) -> Refusal | None:
        start, groups = _first_day(query), set(query.get("group_by", []))
        earliest = self.today() - dt.timedelta(days=365)
        if start < earliest:
            message = (
                f"Usage and cost data are available for the past year. Earliest supported start date: {earliest} (UTC)."
            )
            return Refusal(400, message, "start_time", "reporting_lookback_exceeded")
        if path != COSTS:
            return None
        if {"user_id", "project_id"} <= groups and not self.users_with_projects:
            return Refusal(400, "Unsupported combination.", "group_by")
        if "api_key_id" in groups and self.api_keys_from and start < self.api_keys_from:
            return Refusal(400, "Invalid start_time.", "start_time")
        return None

    def _page(self, path: str, query: Query) -> bytes:
        start, end = int(query["start_time"][0]), int(query["end_time"][0])
        limit, offset = int(query.get("limit", ["7"])[0]), int(query.get("page", ["0"])[0])
        starts = list(range(start, end, _DAY))
        data = [
            self._bucket(path, start_of_day, query.get("group_by", []))
            for start_of_day in starts[offset : offset + limit]
        ]
        following = offset + limit if offset + limit < len(starts) else None
        page = self.page(
            path,
            {
                "object": "page",
                "data": data,
                "has_more": following is not None,
                "next_page": None if following is None else str(following),
            },
        )
        return page if isinstance(page, bytes) else _json(page)

    def _bucket(self, path: str, start: int, groups: Sequence[str]) -> dict[str, Any]:
        day = dt.datetime.fromtimestamp(start, dt.UTC).date()
        if path == COSTS:
            found = _costs(self.rows(day), groups)
        else:
            found = _usage(self.usage(path.removeprefix(USAGE), day), groups)
        results = [self.result(day, row) for row in found]
        return {"object": "bucket", "start_time": start, "end_time": start + _DAY, "results": results}


def _costs(rows: Iterable[Row], groups: Sequence[str]) -> list[Row]:
    """Return the rows grouped by the requested dimensions, the currency and the unit of quantity."""
    added: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        shown = {name: row.get(name) if name in groups else None for name in _DIMENSIONS}
        unit = row.get("quantity_unit") if "line_item" in groups else None
        key = (*shown.values(), row["currency"], unit)
        quantity = row.get("quantity") if unit is not None else None
        known = added.get(key)
        if known is None:
            amount = {"value": row["amount"], "currency": row["currency"]}
            added[key] = {**shown, "amount": amount, "quantity": quantity, "quantity_unit": unit}
            continue
        total = Decimal(str(known["amount"]["value"])) + Decimal(str(row["amount"]))
        known["amount"] = {"value": str(total), "currency": row["currency"]}
        if quantity is not None:
            known["quantity"] += quantity
    return list(added.values())


def _usage(rows: Iterable[Row], groups: Sequence[str]) -> list[Row]:
    """Return the rows grouped by the requested dimensions, with the sums of their counters."""
    added: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        shown = {name: row.get(name) if name in groups else None for name in _USAGE_GROUPS}
        counters = {name: value for name, value in row.items() if name not in _USAGE_GROUPS}
        known = added.setdefault(tuple(shown.values()), shown)
        for name, value in counters.items():
            known[name] = known.get(name, 0) + value
    return list(added.values())


def _first_day(query: Query) -> dt.date:
    return dt.datetime.fromtimestamp(int(query["start_time"][0]), dt.UTC).date()


def _json(value: Any) -> bytes:
    """Encode as ASCII, so that half a surrogate pair is sent as an escape sequence."""
    return json.dumps(value).encode()


class _Handler(BaseHTTPRequestHandler):
    server_of_rows: RowServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def do_GET(self) -> None:
        """Send the response to one request."""
        parts = urlsplit(self.path)
        path, query = parts.path.removeprefix("/v1"), parse_qs(parts.query, keep_blank_values=True)
        self.server_of_rows.requests.append((path, query))
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            status, body = 401, Refusal(401, "Incorrect API key provided.", code="invalid_api_key").body
        else:
            status, body = self.server_of_rows.respond_to(path, query)
        self.send_response_only(status)
        if self.server_of_rows.now:
            self.send_header("Date", format_datetime(self.server_of_rows.now().astimezone(dt.UTC), usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name comes from the base class
        """Log nothing, because `RowServer.requests` records all requests."""
