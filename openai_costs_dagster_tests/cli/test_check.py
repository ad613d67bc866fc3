"""Tests of `check`, which reports the connection of each organization with a remedy and never prints a key."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from openai_costs_dagster.simulator import Fault, FaultKind, SimulatedOrganization, Simulator

from .conftest import RunCommand
from .program import Finished, Workplace, lines

KEY = "sk-admin-simulated-acme"


@pytest.fixture
def organization() -> SimulatedOrganization:
    return SimulatedOrganization(admin_key=KEY)


@pytest.fixture
def api(organization: SimulatedOrganization, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The simulated API of the organization, configured by environment variables only."""
    with Simulator([organization]) as simulator:
        monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", simulator.base_url)
        yield simulator


def test_working_connection_is_reported(run_command: RunCommand, api: Simulator, tmp_path: Path) -> None:
    finished = run_command("check")
    assert finished == (
        0,
        (
            "default: Successfully connected to OpenAI API\n"
            f"  Endpoint: {api.base_url}\n"
            "  Organization: org-SIMULATEDACME\n"
        ),
        "",
    )
    assert {request.method for request in api.requests} == {"GET"}
    assert list(tmp_path.iterdir()) == []


def test_organization_without_costs_is_reported_as_unknown(
    run_command: RunCommand, api: Simulator, organization: SimulatedOrganization
) -> None:
    organization.workloads = ()
    finished = run_command("check")
    assert finished.code == 0
    assert "  Organization: unknown, because it had no costs in the last week\n" in finished.out


def test_rejected_key_is_reported(run_command: RunCommand, api: Simulator, organization: SimulatedOrganization) -> None:
    organization.revoke_key()
    finished = run_command("check")
    assert (finished.code, finished.err) == (1, "")
    headline, endpoint, advice = lines(finished.out)
    assert headline == "default: Authentication failed - please check your API key"
    assert endpoint == f"  Endpoint: {api.base_url}"
    assert advice.startswith("  What to do: OpenAI does not accept the key: ")
    assert len(api.requests) == 1


def test_key_that_the_api_echoes_is_never_shown(
    run_command: RunCommand, api: Simulator, organization: SimulatedOrganization
) -> None:
    organization.revoke_key()
    printed = run_command("check").output + run_command("--log-format", "json", "check").output
    assert KEY not in printed
    assert "sk-admin*" not in printed  # The API shows the beginning and the end of a rejected key.
    assert "acme." not in printed


def test_key_without_the_scope_is_reported(
    run_command: RunCommand, api: Simulator, organization: SimulatedOrganization
) -> None:
    organization.scopes = frozenset()
    finished = run_command("check")
    assert (finished.code, finished.err) == (1, "")
    headline, _, advice = lines(finished.out)
    assert headline == "default: Connection failed with status 403"
    assert "give it the scope api.usage.read" in advice
    assert len(api.requests) == 1


@pytest.mark.parametrize("prefix", ["sk-proj-", "sk-svcacct-"])
def test_key_of_another_kind_is_refused_without_a_request(run_command: RunCommand, api: Simulator, prefix: str) -> None:
    key = f"{prefix}abcdefghijklmnop"
    finished = run_command("check", OPENAI_ADMIN_KEY=key)
    assert finished.code == 1
    assert lines(finished.out)[0] == "default: Authentication failed - please check your API key"
    assert "create an admin key" in finished.out
    assert key not in finished.output
    assert api.requests == []


def test_key_in_typographic_quotation_marks_is_refused(run_command: RunCommand, api: Simulator) -> None:
    finished = run_command(
        "check", OPENAI_ADMIN_KEY=f"\N{LEFT DOUBLE QUOTATION MARK}{KEY}\N{RIGHT DOUBLE QUOTATION MARK}"
    )
    assert finished.code in {1, 2}
    assert KEY not in finished.output
    assert api.requests == []


def test_unusual_key_is_accepted_at_another_endpoint(
    run_command: RunCommand, api: Simulator, organization: SimulatedOrganization
) -> None:
    organization.rotate_key("proxy-key-4711")
    finished = run_command("check", OPENAI_ADMIN_KEY="proxy-key-4711")
    assert finished.code == 0
    assert "Note:" not in finished.out


def test_response_of_another_organization_is_reported(run_command: RunCommand, api: Simulator) -> None:
    finished = run_command("check", OPENAI_ORG_ID="org-EXPECTED")
    assert finished.code == 1
    assert lines(finished.out)[0] == "default: The key belongs to another organization"
    assert "the key reads org-SIMULATEDACME, but org-EXPECTED was expected" in finished.out


def test_base_url_with_a_wrong_path_is_reported(run_command: RunCommand, api: Simulator) -> None:
    finished = run_command("check", OPENAI_BASE_URL=f"{api.base_url}/organization")
    assert finished.code == 1
    assert lines(finished.out)[0] == "default: Connection failed with status 404"
    assert "base_url must end where /organization/costs begins" in finished.out


def test_unreachable_endpoint_is_reported(run_command: RunCommand, api: Simulator) -> None:
    finished = run_command("check", OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert finished.code == 1
    headline, endpoint, advice = lines(finished.out)
    assert (headline, endpoint) == ("default: Connection failed", "  Endpoint: http://127.0.0.1:1/v1")
    assert "refused" in advice


def test_each_organization_is_tested_after_failures_of_others(
    run_command: RunCommand, api: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "good.key").write_text(f"{KEY}\n")
    (tmp_path / "openai_costs.yaml").write_text(
        f"""
        organizations:
          absent: {{admin_key: {{env: NOT_SET}}, base_url: "{api.base_url}"}}
          missing: {{admin_key: {{file: missing.key}}, base_url: "{api.base_url}"}}
          good: {{admin_key: {{file: good.key}}, base_url: "{api.base_url}"}}
        """
    )
    finished = run_command("check")
    assert (finished.code, finished.err) == (1, "")
    assert "absent: The admin key cannot be read\n" in finished.out
    assert "the environment variable NOT_SET is not set" in finished.out
    assert f"the file {tmp_path / 'missing.key'} cannot be read: No such file or directory" in finished.out
    assert "good: Successfully connected to OpenAI API\n" in finished.out
    assert run_command("check", "good").code == 0


def test_two_names_of_one_organization_are_reported(run_command: RunCommand, api: Simulator, tmp_path: Path) -> None:
    api.organizations.append(SimulatedOrganization(admin_key="sk-admin-simulated-second"))
    (tmp_path / "openai_costs.yaml").write_text(
        f"""
        organizations:
          acme: {{admin_key: {{env: FIRST}}, base_url: "{api.base_url}"}}
          beta: {{admin_key: {{env: SECOND}}, base_url: "{api.base_url}"}}
        """
    )
    finished = run_command("check", FIRST=KEY, SECOND="sk-admin-simulated-second")
    assert finished.code == 1
    assert "acme: Successfully connected to OpenAI API\n" in finished.out
    assert "beta: acme and beta are one OpenAI organization\n" in finished.out
    assert "org-SIMULATEDACME, which would be counted twice: keep one of the two names" in finished.out


def test_retries_of_the_check_are_not_logged(place: Workplace, api: Simulator) -> None:
    environment = {"OPENAI_ADMIN_KEY": KEY, "OPENAI_BASE_URL": api.base_url}
    api.faults.queue(Fault(FaultKind.SERVER_ERROR))
    finished = place.run("check", **environment)
    assert (finished.code, finished.err) == (0, "")
    assert lines(finished.out)[0] == "default: Successfully connected to OpenAI API"


def _remedies(finished: Finished) -> dict[str, str]:
    """Return the line with the remedy of each organization."""
    printed = lines(finished.out)
    return {
        headline.partition(":")[0]: advice.removeprefix("  What to do: ")
        for headline, _, advice in zip(*[iter(printed)] * 3, strict=True)
    }


def test_each_kind_of_failure_is_one_sentence_with_a_remedy(
    run_command: RunCommand, tmp_path: Path, failing_server: str, tls_server: str
) -> None:
    urls = {
        "refused": "http://127.0.0.1:1/v1",
        "unknown": "https://no-such-host.invalid/v1",
        "untrusted": f"https://localhost:{tls_server}/v1",
        "plain": f"https://127.0.0.1:{failing_server}/v1",
        "status500": f"http://127.0.0.1:{failing_server}/500/v1",
        "closed": f"http://127.0.0.1:{failing_server}/close/v1",
        "html": f"http://127.0.0.1:{failing_server}/200/v1",
        "teapot": f"http://127.0.0.1:{failing_server}/418/v1",
    }
    settings = {name: {"admin_key": {"env": f"KEY_{name}"}, "base_url": url} for name, url in urls.items()}
    for name, port in {"proxy_refused": "1", "proxy_forbidden": failing_server}.items():
        settings[name] = {
            "admin_key": {"env": f"KEY_{name}"},
            "base_url": "https://api.example/v1",
            "proxy": f"http://127.0.0.1:{port}",
        }
    (tmp_path / "openai_costs.yaml").write_text(json.dumps({"organizations": settings}))
    finished = run_command("check", **{f"KEY_{name}": f"{KEY}-{name}" for name in settings})
    assert (finished.code, finished.err) == (1, "")
    remedies = _remedies(finished)
    assert list(remedies) == list(settings)
    expected = {
        "refused": "the server refused the connection: check base_url",
        "unknown": "the host name is unknown: check the host name in base_url",
        "untrusted": "(self-signed certificate): check base_url and the clock, or set SSL_CERT_FILE",
        "plain": "(wrong version number): check whether the server of base_url uses https at this port",
        "status500": "the server returned status 500: ",
        "closed": "the connection ended before the response was complete: try again",
        "html": "the response is not valid JSON",
        "teapot": "check whether base_url is the address of OpenAI's API",
        "proxy_refused": "refused the connection (through the proxy set in proxy): check the address",
        "proxy_forbidden": "the proxy",
    }
    for name, part in expected.items():
        assert part in remedies[name], name
        assert "check" in remedies[name] or "try again" in remedies[name], name
    assert "rrno" not in finished.out
    assert "_ssl.c" not in finished.out


def test_all_organizations_are_tested_at_once(run_command: RunCommand, tmp_path: Path) -> None:
    number = 20
    all_started = threading.Barrier(number)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # No response is sent before every organization has sent its request.
            all_started.wait(60)
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name of the overridden argument
            """Disable request logging."""

    with _serving(Handler) as port:
        settings = {
            f"o{index}": {"admin_key": {"env": f"KEY{index}"}, "base_url": f"http://127.0.0.1:{port}/v1"}
            for index in range(number)
        }
        (tmp_path / "openai_costs.yaml").write_text(json.dumps({"organizations": settings}))
        finished = run_command("check", **{f"KEY{index}": f"{KEY}-{index}" for index in range(number)})
    assert [line.partition(":")[0] for line in lines(finished.out)[::3]] == list(settings)
    assert finished.out.count("Connection failed with status 404") == number


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> Iterator[str]:
    class Server(ThreadingHTTPServer):
        request_queue_size = 64
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore clients that break the connection."""

    with Server(("127.0.0.1", 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield str(server.server_port)
        server.shutdown()
        thread.join()


class _Failing(BaseHTTPRequestHandler):
    """Responds with the status in the path, closes the connection, and refuses to be a proxy."""

    def do_GET(self) -> None:
        status = self.path.split("/")[1]
        if status != "close":
            self.send_response(int(status))
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")
        self.close_connection = True

    def do_CONNECT(self) -> None:
        self.send_error(403)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name of the overridden argument
        """Disable request logging."""


@pytest.fixture
def failing_server() -> Iterator[str]:
    with _serving(_Failing) as port:
        yield port


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[str]:
    """The port of a server with a self-signed certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"]
    subprocess.run([*command, *files], check=True, capture_output=True)  # noqa: S603
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with _serving(_Failing, context) as port:
        yield port
