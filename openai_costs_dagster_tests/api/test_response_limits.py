"""Tests of the limits of responses of the API: total time, decoded size, number of pages and number of entries."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import tracemalloc
import zlib
from collections.abc import Iterator

import httpx2
import pytest

from openai_costs_dagster.api import client, directory, errors
from openai_costs_dagster.api.client import BACKGROUND, INTERACTIVE, AdminApi, ConnectionSettings, RetryPolicy
from openai_costs_dagster.api.costs import COSTS_PATH, OrganizationGuard, read_costs
from openai_costs_dagster.api.directory import read_users
from openai_costs_dagster.api.response_types import WirePage
from openai_costs_dagster.cost_records import UNGROUPED

from ..row_server import RowServer
from .conftest import Pauses
from .raw_server import raw_server, read_head
from .scripted_api import FIRST, KEY, NOW, days, page

_CONTINUE = b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 50_000 + b"\r\n\r\n"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _endless_response(head: bytes, drop: bytes) -> Iterator[bytes]:
    """Return the byte strings of an endless response: `head` once, then `drop` again and again."""
    return itertools.chain([head], itertools.repeat(drop))


def _slow_api(port: int, policy: RetryPolicy = BACKGROUND, proxy: str | None = None) -> AdminApi:
    """Return a client of the API whose monotonic clock advances by a second with each call."""
    ticks = itertools.count()
    base_url = "https://api.example/v1" if proxy else f"http://127.0.0.1:{port}/v1"
    settings = ConnectionSettings(base_url, lambda: KEY, lambda: proxy)
    return AdminApi(settings, monotonic=lambda: float(next(ticks)), now=lambda: NOW, retry_policy=policy)


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (_CONTINUE, _CONTINUE),
        (_HEAD + b"Content-Length: 99999999\r\n\r\n", b" "),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (_HEAD + b"\r\n", b" "),
        (b"HTTP/1.1 503 No\r\nContent-Length: 99999\r\n\r\n", b" "),
    ],
    ids=["status line", "header", "informational", "body", "chunks", "body until close", "error body"],
)
def test_trickling_response_ends_at_the_deadline(head: bytes, drop: bytes, pauses: Pauses) -> None:
    def trickle(connection: socket.socket) -> None:
        read_head(connection)
        for piece in _endless_response(head, drop):
            connection.sendall(piece)

    with raw_server(trickle) as port, _slow_api(port) as api:
        with pytest.raises(errors.TransientApiError) as raised:
            api.get(COSTS_PATH, [], WirePage)
        if isinstance(raised.value, errors.ResponseTooSlow):
            assert str(raised.value) == (
                "the response of 127.0.0.1 was not complete within 180 seconds, the limit for one response"
            )
            assert api.requests == 1
            assert pauses == []
        else:
            # The HTTP library refuses an endless line for its length before the deadline has passed.
            assert head in {b"", b"HTTP/1.1 200 OK\r\nX: "}


def test_trickling_response_of_a_proxy_ends_at_the_deadline() -> None:
    def trickle(connection: socket.socket) -> None:
        read_head(connection)
        for piece in _endless_response(b"", _CONTINUE):
            connection.sendall(piece)

    with raw_server(trickle) as port, _slow_api(port, INTERACTIVE, f"http://127.0.0.1:{port}") as api:
        with pytest.raises(errors.ResponseTooSlow, match="within 60 seconds, the limit"):
            api.get(COSTS_PATH, [], WirePage)
        assert api.requests == 1


def _bomb(size: int, *encodings: str) -> bytes:
    """Return a compressed body that decodes to `size` zero bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encodings[0] == "gzip" else 15)
    block = bytes(2**20)
    body = b"".join([*(packer.compress(block) for _ in range(size // len(block))), packer.flush()])
    for encoding in encodings[1:]:
        body = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    return body


@pytest.mark.parametrize("encodings", [("gzip",), ("deflate",), ("gzip", "gzip"), ("deflate", "gzip")], ids="+".join)
def test_compressed_body_stops_at_the_limit(
    encodings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, pauses: Pauses
) -> None:
    monkeypatch.setattr(client, "_MAX_RESPONSE_BYTES", 8 * 2**20)
    body = _bomb(128 * 2**20, *encodings)
    reply = httpx2.Response(200, headers={"Content-Encoding": ", ".join(encodings)}, stream=httpx2.ByteStream(body))
    transport = httpx2.MockTransport(lambda _: reply)
    with AdminApi(ConnectionSettings("https://api.example/v1", lambda: KEY), transport=transport) as api:
        tracemalloc.start()
        with pytest.raises(errors.ResponseTooLarge) as raised:
            api.get(COSTS_PATH, [], WirePage)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert str(raised.value) == "the response of api.example is larger than 8 MiB, the limit for one response"
    assert peak < 16 * 2**20
    assert pauses == []


def test_chunked_body_with_a_false_content_length_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_MAX_RESPONSE_BYTES", 2**20)

    def send_too_much(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(_HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")

    with (
        raw_server(send_too_much) as port,
        AdminApi(ConnectionSettings(f"http://127.0.0.1:{port}/v1", lambda: KEY), retry_policy=RetryPolicy(1)) as api,
        pytest.raises(errors.ApiError, match=r"larger than 1 MiB|Content-Length"),
    ):
        api.get(COSTS_PATH, [], WirePage)


def test_endless_error_body_keeps_its_status() -> None:
    def endless(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 401 No\r\nConnection: close\r\n\r\n" + b'{"error": {"message": "')
        while True:
            connection.sendall(b"x" * 4096)

    with (
        raw_server(endless) as port,
        AdminApi(ConnectionSettings(f"http://127.0.0.1:{port}/v1", lambda: KEY)) as api,
        pytest.raises(errors.AuthenticationFailed, match="not an OpenAI error message"),
    ):
        api.get(COSTS_PATH, [], WirePage)


def test_page_that_is_too_large_is_requested_with_fewer_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of 180 or of 30 days exceeds the limit for one response, and a page of five days does not."""
    requested_days = days(200)
    with RowServer(
        rows=lambda day: [
            {"project_id": str(number), "amount": f"{day.day}.1", "currency": "usd"} for number in range(3)
        ],
        today=lambda: requested_days.last,
        result=lambda _day, found: {**found, "padding": "x" * 1000},
    ) as server:
        monkeypatch.setattr(client, "_MAX_RESPONSE_BYTES", 25_000)
        settings = ConnectionSettings(server.base_url, lambda: "sk-admin-" + "RowServer0123456789")
        with AdminApi(settings, now=lambda: NOW) as api:
            buckets = list(read_costs(api, requested_days, frozenset({"project_id"}), OrganizationGuard(None)))
            assert [bucket.day for bucket in buckets] == list(requested_days)
            assert {len(bucket.rows) for bucket in buckets} == {3}
            assert api.requests == 42
            monkeypatch.setattr(client, "_MAX_RESPONSE_BYTES", 2_000)
            with pytest.raises(
                errors.ResponseTooLarge, match=rf"^{requested_days.first}: the response of 127\.0\.0\.1 is larger"
            ):
                list(read_costs(api, requested_days, frozenset({"project_id"}), OrganizationGuard(None)))
            assert api.requests == 42 + 4


def test_endless_pages_of_a_window_stop_after_two_requests() -> None:
    """The server returns a new page token with each page, and each page is empty or repeats the first day."""
    for buckets in ([FIRST], []):
        tokens = itertools.count()
        transport = httpx2.MockTransport(lambda _, buckets=buckets, tokens=tokens: page(buckets, str(next(tokens))))
        with AdminApi(ConnectionSettings("https://api.example/v1", lambda: KEY), transport=transport) as api:
            with pytest.raises(errors.ApiError):
                list(read_costs(api, days(180), UNGROUPED, OrganizationGuard(None)))
            assert api.requests <= 2


@pytest.mark.parametrize(("per_page", "limit"), [(1, "5 pages"), (100, "1,000 entries")])
def test_endless_list_stops_at_a_limit(per_page: int, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_MAX_PAGES", 5 if per_page == 1 else 10**6)
    monkeypatch.setattr(directory, "_MAX_ENTRIES", 1000)
    ids = itertools.count()

    def respond(_: httpx2.Request) -> httpx2.Response:
        users = [{"id": f"user-{next(ids)}"} for _ in range(per_page)]
        return httpx2.Response(200, content=json.dumps({"data": users, "has_more": True}).encode())

    transport = httpx2.MockTransport(respond)
    with AdminApi(ConnectionSettings("https://api.example/v1", lambda: KEY), transport=transport) as api:
        with pytest.raises(
            errors.ResponseTooLarge, match=f"^/organization/users: the list has more than {limit}, the limit"
        ):
            list(read_users(api))
        assert api.requests <= 11


def test_limits_admit_large_organizations() -> None:
    assert directory._MAX_ENTRIES >= 100_000
    assert directory._MAX_PAGES * directory._ENTRIES_PER_PAGE >= directory._MAX_ENTRIES
    # The response for one day of a very large organization: 300,000 rows of 800 bytes.
    assert client._MAX_RESPONSE_BYTES >= 300_000 * 800
