"""Host names and addresses as they appear in the headers `Host` and `Origin` and in the setting `allowed_hosts`."""

from __future__ import annotations

import re
from ipaddress import ip_address

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")

# Header values contain IPv6 addresses only in brackets, because a colon separates the port.
_HOST = r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)"
_AUTHORITY = re.compile(rf"{_HOST}(?::(?P<port>[0-9]{{1,5}}))?")
_ORIGIN = re.compile(rf"(?P<scheme>https?)://{_AUTHORITY.pattern}")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def canonical_host(text: str) -> str | None:
    """Return a host name or IP address in the form in which two of them can be compared, or None if it is neither.

    Letter case, a trailing dot, brackets and the spelling of an IPv6 address make no difference.
    """
    text = text.strip().lower()
    if ":" in text and not text.startswith("["):
        text = f"[{text}]"
    match = re.fullmatch(_HOST, text)
    if match is None:
        return None
    name = match["host"].removeprefix("[").removesuffix("]").removesuffix(".")
    try:
        return str(ip_address(name))
    except ValueError:
        return name if name and ":" not in name else None


def host_of(authority: str) -> str | None:
    """Return the canonical host of a `Host` header, or None if the header is not a host with an optional port."""
    match = _AUTHORITY.fullmatch(authority.lower())
    return canonical_host(match["host"]) if match else None


def is_same_origin(origin: str, authority: str) -> bool:
    """Return whether an `Origin` header names the host and port of a `Host` header.

    The scheme is not compared, because a proxy that ends TLS forwards requests as plain HTTP. A port that is missing is
    the default port of the origin's scheme.
    """
    page, target = _ORIGIN.fullmatch(origin.lower()), _AUTHORITY.fullmatch(authority.lower())
    if page is None or target is None:
        return False
    default = _DEFAULT_PORTS[page["scheme"]]
    hosts = canonical_host(page["host"]), canonical_host(target["host"])
    ports = int(page["port"] or default), int(target["port"] or default)
    return hosts[0] is not None and hosts[0] == hosts[1] and ports[0] == ports[1]
