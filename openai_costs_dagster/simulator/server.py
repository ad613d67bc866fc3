"""The simulated API on a loopback port: HTTP, connections and a record of who asked what.

It must never listen beyond 127.0.0.1 and never write a key to a log, a record or a representation.
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
_SMALLEST_ZIPPED = 1024
_POLL_SECONDS = 0.02  # how long a shutdown waits for the accept loop at most
_GOODBYE_SECONDS = 2.0  # how long it waits for open connections to notice
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing then sends a reset


def utc_now() -> datetime:
    """The host's time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it came, and what became of it. `status` is None where no answer was sent.

    `path` holds the version ("/v1/organization/costs"); `organization_id` is None where the key was not
    accepted.
    """

    method: str
    path: str
    query: Query
    status: int | None
    organization_id: str | None
    fault: Fault | None


class Simulator:
    """Serves organizations at `base_url` from entering the context to leaving it.

    `requests` grows by each request before its answer is sent. `faults`, `deviations` and the organizations may
    be changed while it serves. `clock` must tell aware times. `port` 0 takes any free one. Entering raises
    OSError where the port is taken.
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
        """Where clients go, "http://127.0.0.1:PORT/v1". Raises RuntimeError outside the context."""
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
            self.stopping.set()
            server.shutdown()
            server.server_close()
            server.hang_up()

    def reply(self, method: str, target: str, key: str | None) -> tuple[Reply, Fault | None]:
        """Response, break and record one request; `target` is its path and query, `key` its bearer key."""
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        organization = next((found for found in self.organizations if key and found.accepts(key)), None)
        right = self._answer(organization, method, parts.path, query, key)
        fault = self.faults.take(parts.path, key, right)
        reply = apply_fault(right, fault)
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

    def _answer(
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
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self.numbers = itertools.count(1)
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((LOOPBACK, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for the host's name, as HTTPServer would."""
        super(ThreadingHTTPServer, self).server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_LINGER_NOT)) == _LINGER_NOT:
            self.close_request(request)  # a shutdown first would send an orderly end before the reset
        else:
            super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close what clients keep open, so that no handler outlives the simulator."""
        with self._changed:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster
            self._changed.wait_for(lambda: not self._connections, _GOODBYE_SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of a defect here, and not of a client that went away."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "openai-simulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def serve(self) -> None:
        """Response one request of any method."""
        self._discard_body()
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        bearer = key.strip() if scheme.lower() == "bearer" else None
        reply, fault = self.server.simulator.reply(self.command, self.path, bearer)
        if fault is not None and fault.kind is FaultKind.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self.close_connection = True
        elif fault is not None and fault.kind is FaultKind.HANG and self._hang(fault.seconds):
            self.close_connection = True
        else:
            self._send(reply)

    def _hang(self, seconds: float) -> bool:
        """Wait, and tell whether the simulator stopped meanwhile."""
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
        if reply.status == 405:
            self.send_header("Allow", "GET")
        if len(body) > _SMALLEST_ZIPPED and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        if reply.cut or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if reply.cut else body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the base class's
        """Keep quiet: `Simulator.requests` is the record."""


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler.serve)
