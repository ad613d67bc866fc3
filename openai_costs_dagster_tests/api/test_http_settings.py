"""Tests of the proxy and certificate settings of the environment."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import pytest

from openai_costs_dagster import http_client
from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi, ConnectionSettings, RetryPolicy
from openai_costs_dagster.api.costs import COSTS_PATH
from openai_costs_dagster.api.response_types import WirePage
from openai_costs_dagster.http_client import HttpSettingsError, Proxy, find_proxy
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .scripted_api import KEY, NOW

_API = "https://api.example/v1"
_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_QUERY = [("start_time", "1772323200"), ("end_time", "1772409600"), ("bucket_width", "1d"), ("limit", "1")]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*_VARIABLES, *map(str.upper, _VARIABLES), *_CERTIFICATES):
        monkeypatch.delenv(name, raising=False)


def _read(base_url: str, key: str = KEY, proxy: str | None = None) -> None:
    with AdminApi(
        ConnectionSettings(base_url, lambda: key, lambda: proxy), retry_policy=RetryPolicy(attempts=1)
    ) as api:
        api.get(COSTS_PATH, _QUERY, WirePage)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"HTTPS_PROXY": "http://good:3128", "ALL_PROXY": "socks://bad:1080"},
            Proxy("HTTPS_PROXY", "http://good:3128"),
        ),
        ({"https_proxy": "http://lower:1", "HTTPS_PROXY": "http://upper:1"}, Proxy("https_proxy", "http://lower:1")),
        ({"https_proxy": "", "HTTPS_PROXY": "http://upper:1"}, Proxy("HTTPS_PROXY", "http://upper:1")),
        ({"all_proxy": "http://all:1", "HTTP_PROXY": "http://other:1"}, Proxy("all_proxy", "http://all:1")),
        ({"HTTPS_PROXY": "proxy.example:3128"}, Proxy("HTTPS_PROXY", "http://proxy.example:3128")),
        ({"HTTPS_PROXY": "\ufeff http://good:3128 \r\n"}, Proxy("HTTPS_PROXY", "http://good:3128")),
        ({"HTTPS_PROXY": "https://user:p%40ss@good:3128"}, Proxy("HTTPS_PROXY", "https://user:p%40ss@good:3128")),
        ({"HTTP_PROXY": "http://other:1"}, None),
        ({"HTTPS_PROXY": " \n"}, None),
    ],
)
def test_proxy_variables_are_used_in_order_of_precedence(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: Proxy | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_proxy(_API) == expected


@pytest.mark.parametrize(
    ("listed", "url", "is_direct"),
    [
        ("*", _API, True),
        ("api.example", _API, True),
        ("example", _API, True),
        (".example", _API, True),
        ("*.example", _API, True),
        ("other, .example ,more", _API, True),
        ("other example", _API, True),
        ("API.Example", _API, True),
        ("https://api.example", _API, True),
        ("api.example:443", _API, True),
        ("api.example:8443", _API, False),
        ("api.example:8443", "https://api.example:8443/v1", True),
        ("pi.example", _API, False),
        ("10.0.0.0/8", "https://10.1.2.3/v1", True),
        ("10.0.0.0/8", "https://11.1.2.3/v1", False),
        ("10.1.2.3", "https://10.1.2.3:8443/v1", True),
        ("fd00::/8", "https://[fd00::1]/v1", True),
        ("[fd00::1]:8443", "https://[fd00::1]:8443/v1", True),
        ("[fd00::1]:8443", "https://[fd00::1]/v1", False),
        ("///,:::,%zz,10.0.0.0/99", _API, False),
        ("", _API, False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_excludes_names_addresses_networks_and_ports(
    monkeypatch: pytest.MonkeyPatch, name: str, listed: str, url: str, is_direct: bool
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    monkeypatch.setenv(name, listed)
    assert (find_proxy(url) is None) == is_direct


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("socks://user:hunter22@proxy:1080", "must begin with http://, https://, socks5:// or socks5h://"),
        ("socks4://user:hunter22@proxy:1080", "must begin with http://"),
        ("hunter22://proxy", "must begin with http://"),
        ("http://user:hunter22@proxy:no", "is not the URL of a proxy"),
        ("http://user:hunter22@", "is not the URL of a proxy"),
        ("http://user:hunter22@[::1", "is not the URL of a proxy"),
        ("http://", "is not the URL of a proxy"),
    ],
)
def test_unusable_proxy_error_names_the_variable_without_credentials(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.RequestRefused) as raised:
        _read(_API)
    assert str(raised.value).startswith(f"{name} {message}")
    assert "hunter22" not in str(raised.value)
    monkeypatch.setenv("NO_PROXY", "api.example")
    assert find_proxy(_API) is None


def test_socks_proxy_needs_the_package_only_if_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://user:hunter22@proxy:1080")
    with pytest.raises(HttpSettingsError, match=r"^ALL_PROXY is a SOCKS proxy, .*: run pip install socksio$"):
        find_proxy(_API)
    monkeypatch.setenv("HTTPS_PROXY", "http://good:3128")
    assert find_proxy(_API) == Proxy("HTTPS_PROXY", "http://good:3128")


@pytest.fixture
def refusing_proxy() -> Iterator[tuple[str, list[bytes]]]:
    """Yield the address of a proxy that refuses every tunnel, and the request lines that it received."""
    lines: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    lines.append(connection.recv(65536).splitlines()[0])
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", lines
        finally:
            server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_https_proxy_is_used_despite_an_invalid_all_proxy(
    monkeypatch: pytest.MonkeyPatch, refusing_proxy: tuple[str, list[bytes]]
) -> None:
    address, lines = refusing_proxy
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080/")
    monkeypatch.setenv("HTTPS_PROXY", f" http://user:hunter22@{address}/ \r\n")
    with pytest.raises(errors.ConnectionRejected, match=r"403 .*\(through the proxy set in HTTPS_PROXY\): ") as raised:
        _read(_API)
    assert lines == [b"CONNECT api.example:443 HTTP/1.1"]
    assert "hunter22" not in str(raised.value)


def _missing(folder: Path) -> Path:
    return folder / "missing.pem"


def _empty(folder: Path) -> Path:
    (folder / "empty.pem").touch()
    return folder / "empty.pem"


def _garbage(folder: Path) -> Path:
    (folder / "garbage.pem").write_bytes(b"\x00\xffno certificate")
    return folder / "garbage.pem"


def _folder(folder: Path) -> Path:
    return folder


_UNUSABLE: list[tuple[Callable[[Path], Path], str]] = [
    (_missing, "which cannot be read: No such file or directory"),
    (_empty, "which contains no certificate in PEM format"),
    (_garbage, "which contains no certificate in PEM format"),
    (_folder, "which cannot be read: Is a directory"),
]


@pytest.mark.parametrize(("make", "message"), _UNUSABLE)
def test_unusable_certificate_file_error_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    file = make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(errors.RequestRefused) as raised:
        _read(_API)
    assert str(raised.value) == f"SSL_CERT_FILE is set to {file}, {message}"


@pytest.mark.parametrize("make", [_missing, _empty, _folder])
def test_unusable_certificate_directory_error_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(make(tmp_path)))
    with pytest.raises(errors.RequestRefused, match=r"^SSL_CERT_DIR is set to .*, which contains no certificates"):
        _read(_API)


@pytest.mark.parametrize(("make", "message"), [case for case in _UNUSABLE if case[0] is not _folder])
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_unusable_requests_bundle_error_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, make: Callable[[Path], Path], message: str
) -> None:
    file = make(tmp_path)
    monkeypatch.setenv(name, str(file))
    with pytest.raises(HttpSettingsError) as raised:
        http_client.check_requests_ca_bundle()
    assert str(raised.value) == f"{name} is set to {file}, {message}"


@pytest.mark.parametrize("padding", ["", " \r\n", "\ufeff"])
def test_certificate_file_with_padding_is_trusted(monkeypatch: pytest.MonkeyPatch, padding: str) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{padding}{certifi.where()}{padding}")
    monkeypatch.setenv("SSL_CERT_DIR", "/missing")
    assert http_client.ssl_context().cert_store_stats()["x509_ca"] > 50


def test_empty_certificate_variables_are_treated_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    system_context = http_client.ssl_context()
    monkeypatch.setenv("SSL_CERT_FILE", " ")
    monkeypatch.setenv("SSL_CERT_DIR", "")
    assert http_client.ssl_context() is system_context


def test_plain_http_to_loopback_ignores_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    organization = SimulatedOrganization()
    for name in _CERTIFICATES:
        monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
    for name in _VARIABLES[:3]:
        monkeypatch.setenv(name.upper(), "socks://user:hunter22@proxy:no")
    with Simulator([organization], clock=lambda: NOW) as simulator:
        _read(simulator.base_url, organization.admin_key)
        assert len(simulator.requests) == 1


def test_plain_http_through_a_plain_proxy_loads_no_certificates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    organization = SimulatedOrganization()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with Simulator([organization], clock=lambda: NOW) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        _read("http://api.example/v1", organization.admin_key)
        assert len(proxy.requests) == 1
