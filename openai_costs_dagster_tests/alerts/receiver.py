"""HTTP servers that receive alerts in tests: one with scripted status codes, and one that never ends its response."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that a test server received."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """The requests that a test server received, and the settings of its next responses.

    `status_codes` holds the status codes of the next responses; after the last, the server returns 200. The status
    code 0 closes the connection without a response. The server calls `before_response` and waits for `delay_s`
    seconds before each response.
    """

    url: str
    received: list[ReceivedRequest] = field(default_factory=list)
    status_codes: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    before_response: Callable[[], None] = lambda: None

    @property
    def keys(self) -> list[str]:
        return [request.headers["Idempotency-Key"] for request in self.received]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a test server while the `with` block runs, and yield its received requests and its settings."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.received.append(ReceivedRequest(self.path, dict(self.headers.items()), body, self.command))
            receiver.before_response()
            time.sleep(receiver.delay_s)
            status = receiver.status_codes.pop(0) if receiver.status_codes else 200
            if status == 0:
                self.connection.close()
                return
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def slow_headers() -> Iterator[Receiver]:
    """Run a server that sends an endless response header, one byte every tenth of a second."""
    server = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not stopped.wait(0.1):
                    connection.sendall(b"x")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Receiver(f"http://127.0.0.1:{server.getsockname()[1]}/hook")
    finally:
        stopped.set()
        server.close()
        thread.join(timeout=5)
