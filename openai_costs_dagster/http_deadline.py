"""A deadline for a whole HTTP response: for its headers, its body, and the requests to a proxy before it.

The timeouts of httpx2 restart with every byte that arrives, so a server that sends one byte at a time could hold a
request for days.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2
import httpx2


class Deadline:
    """The time limit of the current HTTP request. A client with a deadline sends one request at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds that never run backwards."""
        self._clock = clock
        self._end = float("inf")

    def start(self, seconds: float) -> None:
        """Start the time limit, in seconds, of the next HTTP request."""
        self._end = self._clock() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time of the current request is over."""
        return self._clock() >= self._end

    def limit(self, timeout: float | None, error: type[httpcore2.TimeoutException]) -> float:
        """Return the timeout for one operation of the network. Raises `error` if the time is over."""
        left = self._end - self._clock()
        if left <= 0:
            raise error("the deadline of the response has passed")
        return left if timeout is None else min(timeout, left)


def deadline_transport(deadline: Deadline, **options: Any) -> httpx2.HTTPTransport:
    """Return a transport of httpx2 whose requests end at the deadline. The options are those of `HTTPTransport`."""
    transport = httpx2.HTTPTransport(**options)
    # httpx2 has no option for the network backend, although its connection pool has one. The test with a trickling
    # server fails if these names change.
    pool = transport._pool  # noqa: SLF001
    pool._network_backend = _Backend(pool._network_backend, deadline)  # noqa: SLF001
    return transport


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, backend: httpcore2.NetworkBackend, deadline: Deadline) -> None:
        self._backend = backend
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        timeout = self._deadline.limit(timeout, httpcore2.ConnectTimeout)
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream, self._deadline)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.limit(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.limit(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        timeout = self._deadline.limit(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
