"""A TCP server whose connections a test handles byte by byte, for responses that no HTTP library sends."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def raw_server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Call `handle` for every connection, one after the other, in a thread. Yield the port on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # Shutting down the listening socket ends accept().
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
    """Return the bytes of a request up to its empty line."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and (received := connection.recv(1)):
        head += received
    return head
