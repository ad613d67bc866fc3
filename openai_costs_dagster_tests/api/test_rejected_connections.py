"""Tests of connections that no retry can open: the proxy requires credentials, or the certificate is invalid."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi, ConnectionSettings
from openai_costs_dagster.api.connection_check import check_connection
from openai_costs_dagster.api.costs import COSTS_PATH
from openai_costs_dagster.api.response_types import WirePage
from openai_costs_dagster.sync.outcome import is_permanent

from .conftest import Pauses
from .raw_server import raw_server, read_head
from .scripted_api import FIRST, KEY, NOW, Script, page

_PAGE = page([FIRST]).content
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_PAGE), _PAGE)


class Certificates:
    """A certificate authority for tests. Its certificate is the file `authority.pem` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._run("req -x509 -nodes -keyout authority.key -out authority.pem -subj /CN=authority -days 30")

    def server(
        self, name: str, *, host: str = "localhost", valid_days: int = 30, own_issuer: bool = False
    ) -> ssl.SSLContext:
        """Return the TLS context of a server with a new certificate, which is self-signed with `own_issuer`."""
        (self.folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{host}\n")
        self._run(f"req -nodes -keyout {name}.key -out {name}.csr -subj /CN={host}")
        issuer = f"-signkey {name}.key" if own_issuer else "-CA authority.pem -CAkey authority.key -CAcreateserial"
        self._run(f"x509 -req -in {name}.csr {issuer} -days {valid_days} -extfile {name}.ext -out {name}.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context

    def _run(self, command: str) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if command.startswith("req") else []
        words = command.split()
        subprocess.run(  # noqa: S603  # The commands are constants.
            ["openssl", words[0], *key, *words[1:]],  # noqa: S607
            cwd=self.folder,
            check=True,
            capture_output=True,
        )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if not shutil.which("openssl"):
        pytest.skip("the program openssl is missing")
    return Certificates(tmp_path_factory.mktemp("certificates"))


def _serve_tls(context: ssl.SSLContext, *, as_proxy: bool = False) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        if as_proxy:
            read_head(connection)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(connection, server_side=True) as encrypted:
            read_head(encrypted)
            encrypted.sendall(_ANSWER)

    return handle


def _settings(port: int, *, as_proxy: bool) -> ConnectionSettings:
    proxy = f"http://127.0.0.1:{port}" if as_proxy else None
    return ConnectionSettings(f"https://localhost{'' if as_proxy else f':{port}'}/v1", lambda: KEY, lambda: proxy)


@pytest.mark.parametrize("as_proxy", [False, True], ids=["direct", "through a proxy"])
@pytest.mark.parametrize(
    ("options", "is_trusted", "reason", "remedy"),
    [
        ({"valid_days": -1}, True, "certificate has expired", "clock of this machine"),
        ({"host": "other.example"}, True, "Hostname mismatch", "the host in base_url"),
        ({"own_issuer": True}, False, "self-signed certificate", "set SSL_CERT_FILE"),
        ({}, False, "unable to get local issuer certificate", "set SSL_CERT_FILE"),
    ],
    ids=["expired", "wrong host", "self-signed", "unknown issuer"],
)
def test_certificate_that_fails_verification_is_permanent(
    options: dict[str, object],
    is_trusted: bool,
    reason: str,
    remedy: str,
    as_proxy: bool,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    pauses: Pauses,
) -> None:
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.folder / "authority.pem"))
    context = certificates.server("server", **options)  # type: ignore[arg-type]
    with (
        raw_server(_serve_tls(context, as_proxy=as_proxy)) as port,
        AdminApi(_settings(port, as_proxy=as_proxy)) as api,
    ):
        with pytest.raises(errors.ConnectionRejected) as raised:
            api.get(COSTS_PATH, [], WirePage)
        assert api.requests == 1
    assert is_permanent(raised.value)
    message = str(raised.value)
    assert message.startswith("the certificate of the server is not valid (")
    assert ("(through the proxy set in proxy)" in message) == as_proxy
    assert reason in message
    assert remedy in message
    assert pauses == []


def test_certificate_of_a_trusted_issuer_is_accepted(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.folder / "authority.pem"))
    for as_proxy in (False, True):
        with (
            raw_server(_serve_tls(certificates.server("trusted"), as_proxy=as_proxy)) as port,
            AdminApi(_settings(port, as_proxy=as_proxy)) as api,
        ):
            assert len(api.get(COSTS_PATH, [], WirePage).data) == 1


def _respond(status: bytes) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)

    return handle


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_proxy_that_requires_credentials_is_permanent(
    scheme: str, monkeypatch: pytest.MonkeyPatch, pauses: Pauses
) -> None:
    with raw_server(_respond(b"407 Proxy Authentication Required")) as port:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://user:hunter22@127.0.0.1:{port}")
        settings = ConnectionSettings(f"{scheme}://api.example/v1", lambda: KEY)
        with AdminApi(settings) as api:
            with pytest.raises(errors.ConnectionRejected) as raised:
                api.get(COSTS_PATH, [], WirePage)
            assert api.requests == 1
        checked = check_connection(settings, None, lambda: NOW)
    assert (
        str(raised.value)
        == checked.advice
        == (
            "the proxy rejected the connection (407 Proxy Authentication Required) "
            f"(through the proxy set in {scheme}_proxy): correct the user and the password in the URL of that proxy"
        )
    )
    assert pauses == []


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("403 Forbidden", errors.ConnectionRejected),
        ("405 Method Not Allowed", errors.ConnectionRejected),
        ("Invalid username/password", errors.ConnectionRejected),
        (
            "Requested NO AUTHENTICATION REQUIRED from proxy server, but got USERNAME/PASSWORD.",
            errors.ConnectionRejected,
        ),
        ("408 Request Timeout", errors.Unreachable),
        ("429 Too Many Requests", errors.Unreachable),
        ("502 Bad Gateway", errors.Unreachable),
        ("Proxy Server could not connect: Host unreachable.", errors.Unreachable),
    ],
)
def test_error_of_a_proxy_is_permanent_unless_a_retry_may_succeed(reason: str, kind: type[errors.ApiError]) -> None:
    with Script(httpx2.ProxyError(reason)).api() as api, pytest.raises(kind) as raised:
        api.get(COSTS_PATH, [], WirePage)
    assert reason.rstrip(".") in str(raised.value)
