"""The API server of the load benchmark, which renders every response before the server starts.

The server supports the costs endpoint with all dimensions or without grouping, pages, and the lookback limit. It has
fewer functions than the simulator of the package, but needs almost no CPU time.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.workload import EXACT, GROUPING, ONE_DAY, STAGES, RenderedDay, Workload, admin_key, days, unix

_COSTS = "/v1/organization/costs"
_LOOKBACK = dt.timedelta(days=365)
_DEFAULT_LIMIT = 7
_SECONDS_OF_A_DAY = 86_400


class Refused(Exception):
    """An error response in the format of the API."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


class RenderedWorkload:
    """The rendered responses of all organizations."""

    def __init__(self, workload: Workload) -> None:
        self._first = unix(workload.first)
        self._days: dict[str, list[dict[str, RenderedDay]]] = {
            f"Bearer {admin_key(name)}": list(days(workload, name)) for name in workload.names
        }
        self.truth = {
            stage: {name: str(_sum(self._days[f"Bearer {admin_key(name)}"], stage)) for name in workload.names}
            for stage in STAGES
        }

    def page(self, stage: str, authorization: str, query: dict[str, list[str]]) -> bytes:
        """Return a page of costs. Raises `Refused` for an invalid request."""
        rendered = self._days.get(authorization)
        if rendered is None:
            raise Refused(401, "Incorrect API key provided.", code="invalid_api_key")
        grouped = _is_grouped(query)
        start, end = _number(query, "start_time", 0), _number(query, "end_time", unix(_today() + ONE_DAY))
        if start < unix(_today() - _LOOKBACK):
            raise Refused(
                400,
                f"Usage and cost data are available for the past year. The earliest day is {_today() - _LOOKBACK}.",
                "start_time",
                "reporting_lookback_exceeded",
            )
        low = max(0, (start - self._first) // _SECONDS_OF_A_DAY)
        low += _number(query, "page", 0)
        high = min(len(rendered), (end - self._first) // _SECONDS_OF_A_DAY)
        cut = min(high, low + _number(query, "limit", _DEFAULT_LIMIT))
        buckets = [day[stage].grouped if grouped else day[stage].ungrouped for day in rendered[low:cut]]
        tail = json.dumps({"has_more": cut < high, "next_page": str(cut) if cut < high else None})[1:]
        return b'{"object": "page", "data": [' + b", ".join(buckets) + b"], " + tail.encode()


def _sum(rendered: list[dict[str, RenderedDay]], stage: str) -> Decimal:
    total = Decimal(0)
    for day in rendered:
        total = EXACT.add(total, day[stage].amount)
    return total


def _is_grouped(query: dict[str, list[str]]) -> bool:
    dimensions = {*query.get("group_by", []), *query.get("group_by[]", [])}
    if dimensions and dimensions != set(GROUPING):
        raise Refused(400, f"only the grouping {', '.join(GROUPING)} and none are served", "group_by")
    return bool(dimensions)


def _number(query: dict[str, list[str]], name: str, default: int) -> int:
    return int(query[name][0]) if name in query else default


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rendered: RenderedWorkload

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        _, stage, path = (*parts.path.split("/", 2), "")[:3]
        try:
            if stage == "truth":
                self._send(200, json.dumps(self.rendered.truth).encode())
            elif stage in STAGES and f"/{path}" == _COSTS:
                authorization = self.headers.get("Authorization", "")
                self._send(200, self.rendered.page(stage, authorization, parse_qs(parts.query)))
            else:
                raise Refused(404, "unknown path")
        except Refused as refusal:
            self._send(refusal.status, json.dumps(refusal.body).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Disable request logging."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def main() -> None:
    """Serve the workload given as JSON until standard input ends. Prints the port when ready."""
    settings = json.loads(sys.argv[1])
    _Handler.rendered = RenderedWorkload(Workload(**{**settings, "first": dt.date.fromisoformat(settings["first"])}))
    server = _Server(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
