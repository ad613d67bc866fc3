"""A webhook receiver for the alerts of the demo, which does not verify signatures."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a webhook receiver on 127.0.0.1. Yield its URL and the list of the JSON documents that it receives."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0)))))
            # Any status 2xx confirms the delivery, and the response needs no body.
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Suppress the access log of `BaseHTTPRequestHandler`, which goes to standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/alerts", received
    finally:
        server.shutdown()
        server.server_close()
