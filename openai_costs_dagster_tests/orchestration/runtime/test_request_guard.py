"""Tests of the request guard of Dagster's webserver, which refuses requests from foreign hosts and web pages."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest

from openai_costs_dagster.host_names import canonical_host
from openai_costs_dagster.orchestration.runtime.request_guard import RequestGuard

_MUTATION = "mutation { setNuxSeen }"
_JSON = ("content-type", "application/json")
_LOCAL = ("host", "127.0.0.1:3000")


def _status(*headers: tuple[str, str], method: str = "GET", query: str = "", kind: str = "http") -> int:
    """Send a request through the guard and return the status code. A request that the guard accepts returns 200."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": method,
        "path": "/graphql",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }
    guard = RequestGuard(app, ["costs.example", "10.0.0.7", "fe80::7"])
    asyncio.run(guard(scope, receive, send))
    if kind == "websocket":
        return 200 if sent[0]["type"] == "websocket.accept" else 403
    return int(sent[0]["status"])


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:3000", 200),
        ("localhost", 200),
        ("LocalHost:3000", 200),
        ("localhost.:3000", 200),
        ("[::1]:3000", 200),
        ("[0:0:0:0:0:0:0:1]:3000", 200),
        ("costs.example", 200),
        ("COSTS.example.:8443", 200),
        ("10.0.0.7:3000", 200),
        ("[fe80::7]", 200),
        ("evil.example", 403),
        ("localhost.evil.example:3000", 403),
        ("localhostevil.example", 403),
        ("evil.example:localhost", 403),
        ("127.0.0.1@evil.example", 403),
        ("evil.example@127.0.0.1:3000", 403),
        ("evil.example#127.0.0.1", 403),
        ("127.0.0.1, evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("sub.costs.example", 403),
        ("0.0.0.0:3000", 403),
        ("[::]:3000", 403),
        ("[::ffff:10.0.0.9]:3000", 403),
        ("localhost..", 403),
        ("localhost:3000:3000", 403),
        ("lokalhöst", 403),
        ("", 403),
        (".", 403),
        ("*", 403),
    ],
)
def test_only_listed_hosts_are_accepted(host: str, status: int, kind: str) -> None:
    assert _status(("host", host), kind=kind) == status


def test_request_with_no_or_two_hosts_is_refused() -> None:
    assert _status() == 403
    assert _status(_LOCAL, ("host", "evil.example")) == 403
    assert _status(_LOCAL, _LOCAL) == 403


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:3000", "http://127.0.0.1:3000", 200),
        ("LOCALHOST.:3000", "http://localhost:3000", 200),
        ("[::1]:3000", "http://[::1]:3000", 200),
        ("costs.example", "https://costs.example", 200),
        ("costs.example", "https://costs.example:443", 200),
        ("costs.example:8443", "https://costs.example:8443", 200),
        ("127.0.0.1:3000", "http://127.0.0.1:8080", 403),
        ("127.0.0.1:3000", "http://127.0.0.1", 403),
        ("127.0.0.1:3000", "http://localhost:3000", 403),
        ("127.0.0.1:3000", "http://evil.example", 403),
        ("127.0.0.1:3000", "http://evil.example@127.0.0.1:3000", 403),
        ("127.0.0.1:3000", "http://127.0.0.1:3000.evil.example", 403),
        ("127.0.0.1:3000", "chrome-extension://127.0.0.1:3000", 403),
        ("127.0.0.1:3000", "null", 403),
        ("127.0.0.1:3000", "", 403),
        ("costs.example", "https://other.example", 403),
    ],
)
def test_only_pages_of_the_same_origin_are_accepted(
    host: str, origin: str, status: int, method: str, kind: str
) -> None:
    assert _status(("host", host), ("origin", origin), _JSON, method=method, kind=kind) == status


def _fetch(site: str, mode: str = "no-cors", target: str = "empty") -> tuple[tuple[str, str], ...]:
    return ("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", target)


@pytest.mark.parametrize(
    ("metadata", "method", "status"),
    [
        (_fetch("same-origin", "cors"), "POST", 200),
        (_fetch("none", "navigate", "document"), "GET", 200),
        (_fetch("cross-site", "navigate", "document"), "GET", 200),  # The user follows a link, for example in an alert.
        (_fetch("same-site", "navigate", "document"), "GET", 200),
        (_fetch("cross-site", "navigate", "document"), "POST", 403),  # A foreign page submits a form.
        (_fetch("cross-site", "navigate", "iframe"), "GET", 403),
        (_fetch("cross-site", "no-cors", "script"), "GET", 403),
        (_fetch("cross-site", "no-cors", "image"), "GET", 403),
        (_fetch("same-site"), "GET", 403),  # The page comes from another port of the same host.
        (_fetch("cross-site", "cors"), "POST", 403),
    ],
)
def test_pages_of_other_sites_may_only_link(metadata: tuple[tuple[str, str], ...], method: str, status: int) -> None:
    assert _status(_LOCAL, _JSON, *metadata, method=method) == status


def test_websocket_of_another_site_is_refused() -> None:
    assert _status(_LOCAL, *_fetch("cross-site", "websocket"), kind="websocket") == 403
    assert _status(_LOCAL, *_fetch("same-origin", "websocket"), kind="websocket") == 200


@pytest.mark.parametrize(
    ("content_types", "status"),
    [
        (["application/json"], 200),
        (["Application/JSON; charset=utf-8"], 200),
        ([], 415),
        ([""], 415),
        (["text/plain"], 415),
        # Dagster parses a body as JSON if the content type contains "application/json" anywhere.
        (["text/plain; application/json"], 415),
        (["text/plain;charset=application/json"], 415),
        (["application/graphql"], 415),
        (["application/jsonx"], 415),
        (["multipart/form-data; boundary=x"], 415),
        (["application/x-www-form-urlencoded"], 415),
        (["application/json", "text/plain"], 415),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "ANYTHING"])
def test_only_json_requests_can_change_state(content_types: list[str], status: int, method: str) -> None:
    headers = [("content-type", content_type) for content_type in content_types]
    assert _status(_LOCAL, *headers, method=method, query=urlencode({"query": _MUTATION})) == status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"query": "{ version }"}, 200),
        ({"query": "query a { version }", "operationName": "a"}, 200),
        ({"query": "not GraphQL {"}, 200),
        ({"view": _MUTATION}, 200),
        ({}, 200),
        ({"query": _MUTATION}, 405),
        ({"query": f"# a comment\n{_MUTATION}"}, 405),
        ({"query": f"query a {{ version }} {_MUTATION}", "operationName": "a"}, 405),
        ({"query": ["{ version }", _MUTATION]}, 405),
        ({"query": [_MUTATION, "{ version }"]}, 405),
        ({"query": "subscription { pipelineRunLogs(runId: 1) { __typename } }"}, 405),
    ],
)
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_mutation_in_a_get_request_is_refused(query: dict[str, Any], status: int, accept: str) -> None:
    assert _status(_LOCAL, ("accept", accept), query=urlencode(query, doseq=True)) == status


def test_invalid_allowed_host_allows_nothing() -> None:
    assert [canonical_host(text) for text in ("*", "", "http://costs.example", "a b", "costs.example:80")] == [None] * 5
    assert canonical_host("[FE80:0::7]") == canonical_host("fe80::7") == "fe80::7"
