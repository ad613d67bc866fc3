"""HTTP clients that use the proxy and certificate settings of the environment, with the same variables as curl.

The limits of a response of OpenAI are in `api/client.py`.

Only the settings that a request needs are checked. An invalid `ALL_PROXY` does not matter if `HTTPS_PROXY` is valid,
and plain HTTP to this machine ignores the environment.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import httpx2

from openai_costs_dagster.http_deadline import Deadline, deadline_transport
from openai_costs_dagster.user_input import env_variable, strip_padding

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PORTS = {"http": 80, "https": 443}
_SOCKS = ("socks5", "socks5h")
_NO_PROXY_ENTRY = re.compile(
    r"(?:\w+://)?(?:\[(?P<v6>[^\]]+)\](?P<length>/\d+)?|(?P<name>[^:/\[\]]+(?:/\d+)?|[0-9a-f:]+(?:/\d+)?))(?::(?P<port>\d+))?"
)
# An HTTP proxy refuses with a status. The refusal of a SOCKS proxy is a text of httpcore2.
_PROXY_REFUSAL = re.compile(r"4(?!08|29)\d\d\b")
_PROXY_CREDENTIALS = re.compile(r"407\b|Requested .* from proxy server, but got|Invalid username/password")
_CERTIFICATE_REMEDIES = {
    **dict.fromkeys((9, 10), "correct the clock of this machine, or renew the certificate of the server"),
    **dict.fromkeys((62, 64), "correct the host in base_url, or the certificate of the server"),
}
"""Remedies for a certificate that is not yet valid or expired, and for another host, by OpenSSL's verification code."""
_HASHED_CERTIFICATE = re.compile(r"[0-9a-fA-F]{8}\.\d+")


class HttpSettingsError(Exception):
    """A proxy or certificate setting is unusable. The message is one sentence without credentials."""


class Proxy(NamedTuple):
    """A proxy and the setting or variable that names the proxy. The URL may contain credentials."""

    source: str
    url: str

    @property
    def secrets(self) -> list[str]:
        """The texts that must not appear in any message."""
        password = urlsplit(self.url).password or ""
        # A message may contain the password as it is in the URL, or decoded.
        return [self.url, password, unquote(password)]


def is_loopback(url: str) -> bool:
    """Whether a URL points to this machine."""
    return (_split(url).hostname or "") in LOOPBACK


def find_proxy(url: str, configured: str | None = None) -> Proxy | None:
    """Return the proxy for a URL: the configured one, or the proxy of the environment, or None.

    Raises HttpSettingsError if the proxy is unusable.
    """
    if configured:
        return _validated(Proxy("proxy", configured))
    parts = _split(url)
    # A proxy on another machine cannot reach the loopback interface of this machine.
    if is_loopback(url) or _is_excluded(parts):
        return None
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        # If a proxy variable is set in lower case and in upper case, the lower case takes precedence, as in curl.
        for spelling in (name, name.upper()):
            if value := env_variable(spelling):
                return _validated(Proxy(spelling, value))
    return None


def create_client(
    url: str, *, proxy: Proxy | None = None, deadline: Deadline | None = None, **options: Any
) -> httpx2.Client:
    """Return a client for requests to a server. `proxy` is the result of `find_proxy`. Raises HttpSettingsError.

    The certificates are loaded only if the server or the proxy uses TLS. With `deadline`, requests also end there.
    """
    needs_certificates = _split(url).scheme == "https" or (proxy is not None and _split(proxy.url).scheme == "https")
    # Loading the certificates takes longer than a request, so that the context stays empty if TLS is not used.
    context = ssl_context() if needs_certificates else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_proxy = None
    if proxy:
        is_tls = _split(proxy.url).scheme == "https"
        client_proxy = httpx2.Proxy(proxy.url, ssl_context=context if is_tls else None)
    if deadline and not options.get("transport"):
        options["transport"] = deadline_transport(deadline, proxy=client_proxy, verify=context, trust_env=False)
        client_proxy = None  # The transport connects to the proxy.
    # This module reads the environment itself, because httpx would also check settings that no request uses.
    return httpx2.Client(proxy=client_proxy, verify=context, trust_env=False, **options)


def failure_message(error: httpx2.RequestError, proxy: Proxy | None = None) -> str:
    """Return one sentence with the reason of a request without a response, and the remedy. May contain credentials."""
    if tls := next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None):
        reason, remedy = _tls_failure(tls)
    else:
        reason, remedy = _failure(error)
        if _PROXY_CREDENTIALS.match(str(error)):
            remedy = "correct the user and the password in the URL of that proxy"
        elif proxy:
            remedy = "check the address, the credentials and the rules of that proxy"
    return f"{reason} (through the proxy set in {proxy.source}): {remedy}" if proxy else f"{reason}: {remedy}"


def is_permanent(error: httpx2.RequestError) -> bool:
    """Whether a repeated request would fail in the same way: a proxy refuses it, or a certificate is not valid."""
    if isinstance(error, httpx2.ProxyError):
        return bool(_PROXY_REFUSAL.match(str(error)) or _PROXY_CREDENTIALS.match(str(error)))
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _failure(error: httpx2.RequestError) -> tuple[str, str]:
    """Return the reason and the remedy. The texts of the operating system, such as "[Errno 111]", name no remedy."""
    if isinstance(error, httpx2.TimeoutException):
        return f"no response in time ({type(error).__name__})", "check base_url, the network and its firewall"
    if isinstance(error, httpx2.ProxyError):
        return f"the proxy rejected the connection ({error})", "check the proxy"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "the host name is unknown", "check the host name in base_url, the network and its DNS server"
        if isinstance(cause, ConnectionRefusedError):
            return "the server refused the connection", "check base_url, and whether the server is running"
        if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
            return f"no connection is possible ({cause.strerror or cause})", "check base_url and the network"
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return "the connection ended before the response was complete", "try again in a few minutes"
    return str(error) or type(error).__name__, "check base_url"


def _tls_failure(error: ssl.SSLError) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of the server is not valid ({error.verify_message.rstrip('.')})",
            _CERTIFICATE_REMEDIES.get(
                error.verify_code,
                "check base_url and the clock, or set SSL_CERT_FILE to the certificates of your proxy or company",
            ),
        )
    return (
        f"no TLS connection is possible ({(error.reason or 'unknown reason').replace('_', ' ').lower()})",
        "check whether the server of base_url uses https at this port",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the causes of an exception, among which is the error of the socket that httpx2 converted."""
    cause = error.__cause__ or error.__context__
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


def ssl_context() -> ssl.SSLContext:
    """Return a TLS context that trusts the certificates of `SSL_CERT_FILE`, of `SSL_CERT_DIR` or of the system.

    The first of these that is set counts. Raises HttpSettingsError, which names the variable.
    """
    return _context(env_variable("SSL_CERT_FILE"), env_variable("SSL_CERT_DIR"))


def check_requests_ca_bundle() -> None:
    """Check the certificate file that the library `requests` uses, through which Apprise sends alerts.

    Raises HttpSettingsError, which names the variable.
    """
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if file := env_variable(name):
            if not Path(file).is_dir():  # `requests` also accepts a directory.
                _context_of_file(name, file)
            return


@cache
def _context(file: str | None, folders: str | None) -> ssl.SSLContext:
    """Return a TLS context that trusts a file, directories or the system's certificates.

    The context is cached, because loading the certificates takes longer than a request for a page of costs.
    """
    if file:
        return _context_of_file("SSL_CERT_FILE", file)
    if folders:
        if not any(_holds_certificates(Path(folder)) for folder in folders.split(":")):
            raise HttpSettingsError(
                f"SSL_CERT_DIR is set to {folders}, which contains no certificates with hashed names: "
                "run `openssl rehash` on that directory"
            )
        return ssl.create_default_context(capath=folders)
    return httpx2.create_ssl_context(trust_env=False)


def _context_of_file(name: str, file: str) -> ssl.SSLContext:
    try:
        # The file is opened first, because OpenSSL reports a directory with an unclear message.
        with Path(file).open("rb"):
            return ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        raise HttpSettingsError(f"{name} is set to {file}, which contains no certificate in PEM format") from None
    except OSError as error:
        raise HttpSettingsError(f"{name} is set to {file}, which cannot be read: {error.strerror}") from None


def _holds_certificates(folder: Path) -> bool:
    try:
        return any(_HASHED_CERTIFICATE.fullmatch(file.name) for file in folder.iterdir())
    except OSError:
        return False


def _validated(proxy: Proxy) -> Proxy:
    """Return the proxy with a complete URL. A URL without a scheme gets ``http://``. Raises HttpSettingsError."""
    url = strip_padding(proxy.url)
    url = url if "://" in url else f"http://{url}"
    scheme = url.partition("://")[0].lower()
    if scheme not in {*_PORTS, *_SOCKS}:
        raise HttpSettingsError(f"{proxy.source} must begin with http://, https://, socks5:// or socks5h://")
    if scheme in _SOCKS and importlib.util.find_spec("socksio") is None:
        raise HttpSettingsError(
            f"{proxy.source} is a SOCKS proxy, which needs the package socksio: run pip install socksio"
        )
    try:
        is_address = bool(httpx2.Proxy(url).url.host and _split(url).hostname)
    except (ValueError, httpx2.InvalidURL):
        is_address = False
    if not is_address:
        raise HttpSettingsError(f"{proxy.source} is not the URL of a proxy, as in http://proxy.example:3128")
    return Proxy(proxy.source, url)


def _is_excluded(parts: SplitResult) -> bool:
    """Whether `NO_PROXY` lists the host of a URL.

    An entry is a domain name (which includes its subdomains), an IP address or a network, optionally with a port.
    """
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
    except ValueError:  # The host or the entry is a name, not an IP address.
        name = name.removeprefix("*").removeprefix(".")
        return host == name or host.endswith(f".{name}")


def _split(url: str) -> SplitResult:
    """Return the parts of a URL. Raises HttpSettingsError if the URL is invalid."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # Reading the port raises ValueError if the port is invalid.
    except ValueError:
        raise HttpSettingsError("the URL is not valid: a valid URL is https://api.example/v1, for example") from None
    return parts
