"""The HTTP server of the simulator, which records all requests.

The server listens only on 127.0.0.1. No key appears in a log, in a recorded request or in a `repr`.
"""

import gzip
import itertools
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openai_costs_dagster.simulator.cache import RenderedBuckets
from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.error_responses import incorrect_key, unknown_path
from openai_costs_dagster.simulator.faults import Fault, FaultKind, Faults, Reply, apply_fault
from openai_costs_dagster.simulator.organization import SimulatedOrganization
from openai_costs_dagster.simulator.queries import Query
from openai_costs_dagster.simulator.routes import Response, error_response, respond

LOOPBACK = "127.0.0.1"

_PREFIX = "/v1"
_ALL_DEVIATIONS = Deviations()
_MIN_GZIP_BYTES = 1024
_POLL_SECONDS = 0.02  # the longest time that a shutdown waits until the server stops accepting connections
_CLOSE_TIMEOUT_S = 2.0  # the longest time that a shutdown waits for open connections to close
# With this value of SO_LINGER, closing a socket resets the connection instead of ending it in order.
_NO_LINGER = struct.pack("ii", 1, 0)


def utc_now() -> datetime:
    """Return the current time of the host in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A received request, with the status of its response.

    `path` includes the version, as in ``/v1/organization/costs``. `status` is None if no response was sent.
    `organization_id` is None if the key was not accepted.
    """

    method: str
    path: str
    query: Query
    status: int | None
    organization_id: str | None
    fault: Fault | None


class Simulator:
    """A running simulator. The server runs while the `with` block of the simulator runs.

    `requests` contains each request before its response is sent. `faults`, `deviations` and the organizations may be
    changed while the server runs. `clock` must return times with a time zone. Port 0 selects a free port. Entering the
    `with` block raises `OSError` if the port is in use.
    """

    def __init__(
        self,
        organizations: Sequence[SimulatedOrganization],
        deviations: Deviations = _ALL_DEVIATIONS,
        clock: Callable[[], datetime] = utc_now,
        port: int = 0,
    ) -> None:
        self.organizations = list(organizations)
        self.deviations = deviations
        self.clock = clock
        self.faults = Faults()
        self.requests: list[RecordedRequest] = []
        self.stopping = threading.Event()
        self._port = port
        self._render = RenderedBuckets()
        self._server: _Server | None = None

    @property
    def base_url(self) -> str:
        """The base URL for clients, as in ``http://127.0.0.1:8080/v1``.

        Raises `RuntimeError` if the server is not running.
        """
        if self._server is None:
            raise RuntimeError("the simulator is not running")
        return f"http://{LOOPBACK}:{self._server.server_port}{_PREFIX}"

    def __enter__(self) -> "Simulator":
        self.stopping.clear()
        self._server = _Server(self, self._port)
        threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="simulator", daemon=True
        ).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            # The event ends simulated hangs, because the shutdown would otherwise have to wait for them.
            self.stopping.set()
            server.shutdown()
            server.server_close()
            server.close_connections()

    def reply(self, method: str, target: str, key: str | None) -> tuple[Reply, Fault | None]:
        """Return the reply to one request and the fault in it, and record the request.

        `target` is the path with the query. `key` is the bearer token.
        """
        parts = urlsplit(target)
        # By default, `parse_qs` drops parameters with an empty value. A misspelled parameter without a value would not
        # be noticed.
        query = parse_qs(parts.query, keep_blank_values=True)
        organization = next((found for found in self.organizations if key and found.accepts(key)), None)
        response = self._respond(organization, method, parts.path, query, key)
        # The fault is chosen after the response is known, because some faults only apply to pages with certain rows.
        fault = self.faults.take(parts.path, key, response)
        reply = apply_fault(response, fault, self.clock())
        self.requests.append(
            RecordedRequest(
                method=method,
                path=parts.path,
                query=query,
                status=None if fault and fault.kind is FaultKind.RESET else reply.status,
                organization_id=organization.organization_id if organization else None,
                fault=fault,
            )
        )
        return reply, fault

    def _respond(
        self,
        organization: SimulatedOrganization | None,
        method: str,
        path: str,
        query: Query,
        key: str | None,
    ) -> Response:
        if organization is None:
            return error_response(incorrect_key(key))
        if not path.startswith(f"{_PREFIX}/"):
            return error_response(unknown_path(method, path))
        path = path.removeprefix(_PREFIX)
        return respond(organization, method, path, query, self.deviations, self.clock(), self._render)


class _Server(ThreadingHTTPServer):
    # A thread that waits for a client must not keep the process alive.
    daemon_threads = True
    # socketserver's default backlog is 5. With this default, most of 200 simultaneous connections timed out in a trial.
    request_queue_size = 128

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self.numbers = itertools.count(1)
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((LOOPBACK, port), _Handler)

    def server_bind(self) -> None:
        """Bind the socket without the name lookup of `HTTPServer`, which can be slow."""
        super(ThreadingHTTPServer, self).server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_NO_LINGER)) == _NO_LINGER:
            # `shutdown` would close the connection in order, but this fault requires a reset.
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def close_connections(self) -> None:
        """Close connections that clients keep open, so that no thread outlives the simulator."""
        with self._changed:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # The client has already closed the connection.
            self._changed.wait_for(lambda: not self._connections, _CLOSE_TIMEOUT_S)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors of the simulator itself. A client that closes its connection or times out is not an error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    # The default version HTTP/1.0 would need a new connection for each request.
    protocol_version = "HTTP/1.1"
    server_version = "openai-simulator"
    sys_version = ""
    # Nagle's algorithm can delay a small response until the client has acknowledged earlier data.
    disable_nagle_algorithm = True
    # Without a buffer, the headers and the body of a response would be sent in separate packets.
    wbufsize = 1 << 16

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time of the simulator for the header `Date`, by which clients notice that their own clock is
        wrong.
        """
        return super().date_time_string(self.server.simulator.clock().timestamp() if timestamp is None else timestamp)

    def serve(self) -> None:
        """Handle one request with any HTTP method."""
        # On a persistent connection, unread bytes of the body would be parsed as the next request.
        self._discard_body()
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        bearer = key.strip() if scheme.lower() == "bearer" else None
        reply, fault = self.server.simulator.reply(self.command, self.path, bearer)
        if fault is not None and fault.kind is FaultKind.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.close_connection = True
        elif fault is not None and fault.kind is FaultKind.HANG and self._hang(fault.seconds):
            self.close_connection = True
        else:
            self._send(reply)

    def _hang(self, seconds: float) -> bool:
        """Wait for `seconds`. Return whether the simulator was stopped in the meantime."""
        return self.server.simulator.stopping.wait(seconds)

    def _discard_body(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit():
            self.close_connection = True
        else:
            self.rfile.read(int(length))

    def _send(self, reply: Reply) -> None:
        body = reply.text.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("x-request-id", f"req_simulated_{next(self.server.numbers)}")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        # RFC 9110 requires the header `Allow` in a response with status 405.
        if reply.status == 405:
            self.send_header("Allow", "GET")
        if len(body) > _MIN_GZIP_BYTES and "gzip" in self.headers.get("Accept-Encoding", ""):
            # Without a timestamp in the gzip header, equal responses are equal byte by byte.
            body = gzip.compress(body, compresslevel=1, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        if reply.cut or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if reply.cut else body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # The base class defines the argument name.
        """Suppress the access log, because `Simulator.requests` contains all requests."""


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler.serve)
