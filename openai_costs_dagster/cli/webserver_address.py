"""The host and port of Dagster's webserver for `up` and `demo`, checked before any process starts."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.host_names import canonical_host

LOOPBACK = "127.0.0.1"
PREFERRED_PORT = 3000

_MAX_PORT = 65535


class WebserverAddress(NamedTuple):
    """The address on which the webserver listens, with the host names by which browsers may reach it."""

    host: str
    port: int
    allowed_hosts: tuple[str, ...] = ()
    all_interfaces: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names that the webserver accepts in addition to the loopback names."""
        return self.allowed_hosts if self.all_interfaces else (self.host, *self.allowed_hosts)

    @property
    def url(self) -> str:
        """The URL for requests from this machine. A client cannot connect to 0.0.0.0."""
        return self._url(LOOPBACK if self.all_interfaces else self.host)

    @property
    def link(self) -> str:
        """The URL for links in alerts."""
        return self._url(self.allowed_hosts[0] if self.all_interfaces and self.allowed_hosts else self.host)

    def _url(self, host: str) -> str:
        name = canonical_host(host) or host
        return f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"


def choose_address(
    host: str = LOOPBACK, port: int | None = None, allowed_hosts: tuple[str, ...] = ()
) -> WebserverAddress:
    """Return the address of the webserver, with port 3000 or another free port if `port` is None.

    Raises `InputMistake` if the webserver could not listen there, or if `host` stands for all addresses of the machine
    and `allowed_hosts` is empty.
    """
    if port is not None and not 1 <= port <= _MAX_PORT:
        raise InputMistake(f"{port} is not a port: choose one from 1 to {_MAX_PORT} with --port")
    addresses = _addresses(host)
    all_interfaces = any(_is_unspecified(address[0]) for _, address in addresses)
    if all_interfaces and not allowed_hosts:
        raise InputMistake(
            f"--host {host} listens on all addresses of this machine: list the names by which browsers reach it under "
            "allowed_hosts in openai_costs.yaml"
        )
    if port is None:
        port = _free_port(addresses)
    else:
        _try_port(host, port, addresses)
    return WebserverAddress(host, port, allowed_hosts, all_interfaces)


def free_port() -> int:
    """Return a free port of the loopback address."""
    return _bind(_addresses(LOOPBACK), 0)


_Address = tuple[socket.AddressFamily, Any]


def _addresses(host: str) -> Sequence[_Address]:
    """Return the addresses that a server on a host binds."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE) if host else []
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise InputMistake(f"--host {host!r} is not known: use an address of this machine, for example {LOOPBACK}")
    return [(family, address) for family, _, _, _, address in found]


def _is_unspecified(text: str) -> bool:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_unspecified


def _free_port(addresses: Sequence[_Address]) -> int:
    try:
        return _bind(addresses, PREFERRED_PORT)
    except OSError:
        pass
    try:
        return _bind(addresses, 0)
    except OSError as error:
        raise InputMistake(f"the webserver cannot listen on this machine: {error.strerror}") from None


def _try_port(host: str, port: int, addresses: Sequence[_Address]) -> None:
    """Raise `InputMistake` if a server cannot listen on a port."""
    try:
        _bind(addresses, port)
    except PermissionError:
        raise InputMistake(f"port {port} needs root privileges: choose a port from 1024 with --port") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputMistake(
                f"port {port} is in use: choose another one with --port, or stop the program that uses it"
            ) from None
        raise InputMistake(f"--host {host} is not an address of this machine: {error.strerror}") from None


def _bind(addresses: Sequence[_Address], port: int) -> int:
    """Bind a port on all addresses as the webserver does, release it, and return it. Port 0 stands for a free port."""
    with ExitStack() as sockets:
        for family, address in addresses:
            server = sockets.enter_context(socket.socket(family))
            # Without this option, closed connections of an earlier server would make its port look occupied for a
            # minute.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind((address[0], port, *address[2:]))
            # Two sockets may be bound to one address, but only one of them may listen.
            server.listen(1)
            port = int(server.getsockname()[1])
    return port
