"""Tests of `openai-costs up` without starting Dagster: invalid addresses, output and exit code."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from openai_costs_dagster.cli import webserver_address
from openai_costs_dagster.cli.dagster_dev import DagsterDev
from openai_costs_dagster.cli.errors import DagsterEnded
from openai_costs_dagster.cli.webserver_address import PREFERRED_PORT, choose_address, free_port
from openai_costs_dagster.simulator import SimulatedOrganization
from openai_costs_dagster.warehouse.database import Database

from ..conftest import RunSimulator
from .conftest import RunCommand
from .test_mistakes import assert_nothing_was_made, assert_one_sentence

_KEY = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}


@contextmanager
def _listening(host: str, *, dual_stack: bool = False) -> Iterator[int]:
    """Listen on a free port of an IP address and yield the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server:
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual_stack))
        server.bind((host, 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])  # noqa: S104 - other programs listen there
def test_port_in_use_is_refused_before_anything_starts(
    run_command: RunCommand, tmp_path: Path, host: str, command: str
) -> None:
    with _listening(host, dual_stack=True) as port:
        finished = run_command(command, "--port", str(port), **_KEY)
    words = f"port {port} is in use: choose another one with --port, or stop the program that uses it"
    assert_one_sentence(finished, 2, words)
    assert_nothing_was_made(tmp_path)


def test_port_in_use_by_one_of_two_addresses_is_refused(
    monkeypatch: pytest.MonkeyPatch, run_command: RunCommand, tmp_path: Path
) -> None:
    both = [found for host in ("127.0.0.1", "::1") for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    # On many machines, `localhost` has an IPv4 and an IPv6 address. The test does not depend on this machine.
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with _listening("::1") as port:
        finished = run_command("up", "--host", "localhost", "--port", str(port), **_KEY)
    assert_one_sentence(finished, 2, f"port {port} is in use")
    assert_nothing_was_made(tmp_path)


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("port", ["0", "-1", "65536", "4294967376"])
def test_port_out_of_range_is_refused(run_command: RunCommand, tmp_path: Path, port: str, command: str) -> None:
    finished = run_command(command, "--port", port, **_KEY)
    assert_one_sentence(finished, 2, f"{port} is not a port: choose one from 1 to 65535 with --port")
    assert_nothing_was_made(tmp_path)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("0.0.0.0", "--host 0.0.0.0 listens on all addresses .* allowed_hosts in openai_costs.yaml"),  # noqa: S104
        ("0", "--host 0 listens on all addresses"),
        ("::", "--host :: listens on all addresses"),
        ("0:0::0", "listens on all addresses"),
        ("::ffff:0.0.0.0", "listens on all addresses"),
        ("", "--host '' is not known: use an address of this machine, for example 127.0.0.1"),
        ("no-such-host.invalid", "--host 'no-such-host.invalid' is not known"),
        ("192.0.2.1", "--host 192.0.2.1 is not an address of this machine"),
    ],
)
def test_unusable_host_is_refused(run_command: RunCommand, tmp_path: Path, host: str, words: str) -> None:
    finished = run_command("up", "--host", host, "--port", str(free_port()), **_KEY)
    assert_one_sentence(finished, 2, words)
    assert_nothing_was_made(tmp_path)


def test_privileged_port_is_refused(monkeypatch: pytest.MonkeyPatch, run_command: RunCommand, tmp_path: Path) -> None:
    def bind(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(webserver_address, "_bind", bind)  # Tests may run as root, who may use every port.
    finished = run_command("up", "--port", "80", **_KEY)
    assert_one_sentence(finished, 2, "port 80 needs root privileges: choose a port from 1024 with --port")
    assert_nothing_was_made(tmp_path)


def test_default_port_in_use_is_replaced_by_a_free_port() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", PREFERRED_PORT))
        except OSError:
            assert choose_address().port != PREFERRED_PORT  # Another program on this machine already uses the port.
            return
        server.listen()
        assert choose_address("localhost").port not in {0, PREFERRED_PORT}


def test_links_name_an_allowed_host_if_all_interfaces_are_served() -> None:
    port = free_port()
    everywhere = choose_address("0.0.0.0", port, ("costs.example",))  # noqa: S104
    assert (everywhere.url, everywhere.link) == (f"http://127.0.0.1:{port}", f"http://costs.example:{port}")
    assert everywhere.hosts == ("costs.example",)
    ipv6 = choose_address("::1", port, ("costs.example",))
    assert (ipv6.url, ipv6.link) == (f"http://[::1]:{port}", f"http://[::1]:{port}")
    assert ipv6.hosts == ("::1", "costs.example")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("costs.example", "line 1: allowed_hosts: allowed_hosts must be a list, for example \\[costs.example\\]"),
        ("['*']", "an allowed host is a name or an IP address without scheme, port and wildcard"),
        ("[https://costs.example]", "found 'https://costs.example'"),
        ("['costs.example:3000']", "found 'costs.example:3000'"),
        ("['']", "found ''"),
    ],
)
def test_invalid_allowed_host_is_refused(run_command: RunCommand, tmp_path: Path, setting: str, words: str) -> None:
    organization = "organizations: {acme: {admin_key: {env: OPENAI_ADMIN_KEY}}}\n"
    (tmp_path / "openai_costs.yaml").write_text(f"allowed_hosts: {setting}\n{organization}")
    assert_one_sentence(run_command("up", **_KEY), 2, words)
    assert_nothing_was_made(tmp_path)


@pytest.fixture
def up(
    monkeypatch: pytest.MonkeyPatch, run_command: RunCommand, simulator: RunSimulator, database: Database
) -> Callable[[BaseException], tuple[int, str, str]]:
    """Return a function that runs `up` with a real database. Instead of Dagster, the function raises an exception."""
    api = simulator(SimulatedOrganization())

    def run(ending: BaseException) -> tuple[int, str, str]:
        def supervise(_: DagsterDev) -> None:
            raise ending

        monkeypatch.setattr(DagsterDev, "start", lambda *_, **__: None)
        monkeypatch.setattr(DagsterDev, "supervise", supervise)
        port = str(free_port())
        variables = {**_KEY, "OPENAI_BASE_URL": api.base_url, "DATABASE_URL": database.url}
        finished = run_command("up", "--port", port, **variables)
        return finished.code, finished.out.replace(port, "PORT"), finished.err

    return run


def test_interrupted_up_exits_with_0(up: Callable[[BaseException], tuple[int, str, str]]) -> None:
    code, out, err = up(KeyboardInterrupt())
    assert code == 0
    assert out.splitlines() == [
        "Run launcher: Dagster's default (fewer than 50 organizations)",
        "Dagster is up: http://127.0.0.1:PORT (Ctrl-C ends it)",
    ]
    assert err.splitlines()[-2:] == ["stopping Dagster; Ctrl-C again stops it at once", "Dagster has stopped"]


def test_up_exits_with_1_if_dagster_ends_by_itself(up: Callable[[BaseException], tuple[int, str, str]]) -> None:
    code, _, err = up(DagsterEnded("Dagster's daemon ended with exit code 1"))
    assert code == 1
    assert err.splitlines()[-1] == "openai-costs: Dagster's daemon ended with exit code 1"
