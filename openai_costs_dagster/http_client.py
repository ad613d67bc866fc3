"""HTTP clients that follow the environment's proxies and certificates, and explain in one sentence what is wrong there.

Only what a request really uses is looked at: an invalid `ALL_PROXY` does not matter beside a valid `HTTPS_PROXY`, and
nothing in the environment matters for plain HTTP to this machine. Variables are read as curl reads them.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import ssl
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import httpx2

from openai_costs_dagster.user_input import env_variable, strip_padding

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PORTS = {"http": 80, "https": 443}
_SOCKS = ("socks5", "socks5h")
_NO_PROXY_ENTRY = re.compile(
    r"(?:\w+://)?(?:\[(?P<v6>[^\]]+)\](?P<length>/\d+)?|(?P<name>[^:/\[\]]+(?:/\d+)?|[0-9a-f:]+(?:/\d+)?))(?::(?P<port>\d+))?"
)
_HASHED_CERTIFICATE = re.compile(r"[0-9a-fA-F]{8}\.\d+")


class HttpSettingsError(Exception):
    """A proxy or certificate setting cannot be used; the text is one sentence without credentials."""


class Proxy(NamedTuple):
    """A proxy and where it is configured; the URL may contain credentials."""

    source: str
    url: str

    @property
    def secrets(self) -> list[str]:
        """What must not appear in any message."""
        password = urlsplit(self.url).password or ""
        return [self.url, password, unquote(password)]


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return (_split(url).hostname or "") in LOOPBACK


def find_proxy(url: str, configured: str | None = None) -> Proxy | None:
    """The proxy for a URL: the configured one, or that of the environment. Raises HttpSettingsError."""
    if configured:
        return _usable(Proxy("proxy", configured))
    parts = _split(url)
    if is_loopback(url) or _is_excluded(parts):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for spelling in (name, name.upper()):
            if value := env_variable(spelling):
                return _usable(Proxy(spelling, value))
    return None


def create_client(url: str, *, proxy: Proxy | None = None, **options: Any) -> httpx2.Client:
    """A client for a URL and what lies below it, through a proxy of `find_proxy`. Raises HttpSettingsError."""
    needs_certificates = _split(url).scheme == "https" or (proxy is not None and _split(proxy.url).scheme == "https")
    context = ssl_context() if needs_certificates else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    through = None
    if proxy:
        is_tls = _split(proxy.url).scheme == "https"
        through = httpx2.Proxy(proxy.url, ssl_context=context if is_tls else None)
    return httpx2.Client(proxy=through, verify=context, trust_env=False, **options)


def ssl_context() -> ssl.SSLContext:
    """The authorities to trust: those of `SSL_CERT_FILE` or `SSL_CERT_DIR`, else the system's.

    Raises HttpSettingsError that names the variable.
    """
    return _context(env_variable("SSL_CERT_FILE"), env_variable("SSL_CERT_DIR"))


def check_requests_ca_bundle() -> None:
    """Checks the certificates that `requests` uses, and with it Apprise. Raises HttpSettingsError."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if file := env_variable(name):
            if not Path(file).is_dir():  # a directory is allowed there
                _context_of_file(name, file)
            return


@cache
def _context(file: str | None, folders: str | None) -> ssl.SSLContext:
    """Made once per process: reading the certificates takes longer than a page of costs."""
    if file:
        return _context_of_file("SSL_CERT_FILE", file)
    if folders:
        if not any(_holds_certificates(Path(folder)) for folder in folders.split(":")):
            raise HttpSettingsError(
                f"SSL_CERT_DIR names {folders}, where no certificates lie that `openssl rehash` has prepared"
            )
        return ssl.create_default_context(capath=folders)
    return httpx2.create_ssl_context(trust_env=False)


def _context_of_file(name: str, file: str) -> ssl.SSLContext:
    try:
        with Path(file).open("rb"):  # OpenSSL's own words for a directory say nothing
            return ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise HttpSettingsError(f"{name} names {file}, which holds no certificate in PEM form") from None
    except OSError as error:
        raise HttpSettingsError(f"{name} names {file}, which cannot be read: {error.strerror}") from None


def _holds_certificates(folder: Path) -> bool:
    try:
        return any(_HASHED_CERTIFICATE.fullmatch(file.name) for file in folder.iterdir())
    except OSError:
        return False


def _usable(proxy: Proxy) -> Proxy:
    """The proxy with a scheme, which many people leave out. Raises HttpSettingsError."""
    url = strip_padding(proxy.url)
    url = url if "://" in url else f"http://{url}"
    scheme = url.partition("://")[0].lower()
    if scheme not in {*_PORTS, *_SOCKS}:
        raise HttpSettingsError(f"{proxy.source} has another scheme than http, https, socks5 and socks5h")
    if scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        raise HttpSettingsError(f"{proxy.source} names a SOCKS proxy: pip install socksio first")
    try:
        is_address = bool(httpx2.Proxy(url).url.host and _split(url).hostname)
    except (ValueError, httpx2.InvalidURL):
        is_address = False
    if not is_address:
        raise HttpSettingsError(f"{proxy.source} is not the address of a proxy, as in http://proxy.example:3128")
    return Proxy(proxy.source, url)


def _is_excluded(parts: SplitResult) -> bool:
    """Whether `NO_PROXY` lists a host: names with all below them, addresses, networks, each with or without a port."""
    host, port = (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)
    listed = env_variable("no_proxy") or env_variable("NO_PROXY") or ""
    return any(_covers(entry, host, port) for entry in re.split(r"[,\s]+", listed.lower()) if entry)


def _covers(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    found = _NO_PROXY_ENTRY.fullmatch(entry)
    if not found or (found["port"] and int(found["port"]) != port):
        return False
    name = found["name"] or f"{found['v6']}{found['length'] or ''}"
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:  # one of them is a name
        name = name.removeprefix("*").removeprefix(".")
        return host == name or host.endswith(f".{name}")


def _split(url: str) -> SplitResult:
    """The parts of a URL. Raises HttpSettingsError for an address that is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise HttpSettingsError("the address is not a URL with a host, as in https://api.example/v1") from None
    return parts
