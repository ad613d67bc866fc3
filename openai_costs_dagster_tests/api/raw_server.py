"""A TCP server for tests that send invalid or very slow HTTP responses, which no HTTP library can send."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def raw_server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a TCP server on 127.0.0.1 and yield its port.

    A thread calls `handle` with each connection, one connection after the other.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # When the test ends, the closed socket makes `accept` raise an error.
                while True:
                    connection, _ = server.accept()
                    connection.settimeout(10)
                    with connection, suppress(OSError, ssl.SSLError):  # The client may have closed the connection.
                        handle(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def read_head(connection: socket.socket) -> bytes:
    """Read the request line and the headers of an HTTP request, including the empty line after the headers."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (received := connection.recv(1)):
        head += received
    return head
