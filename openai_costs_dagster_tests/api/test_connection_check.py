"""Tests of the connection check behind `openai-costs check`: headline, advice and number of requests."""

from __future__ import annotations

import pytest

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import INTERACTIVE, ConnectionSettings
from openai_costs_dagster.api.connection_check import ConnectionCheck, admin_key_warning, check_connection
from openai_costs_dagster.configuration.secret import SecretReference, SecretUnavailable
from openai_costs_dagster.simulator import Fault, FaultKind, SimulatedOrganization, Simulator

from .conftest import Pauses
from .scripted_api import NOW

_KEY = "sk-admin-wrong0123456789abcd"


def check(
    simulator: Simulator, *, key: str | None = None, expected_id: str | None = None, path: str = ""
) -> ConnectionCheck:
    key = key or simulator.organizations[0].admin_key
    return check_connection(ConnectionSettings(simulator.base_url + path, lambda: key), expected_id, lambda: NOW)


def running(**settings: bool) -> Simulator:
    return Simulator([SimulatedOrganization(**settings)], clock=lambda: NOW)  # type: ignore[arg-type]


def test_working_connection_reports_its_organization() -> None:
    with running() as simulator:
        assert check(simulator) == ConnectionCheck(
            True, "Successfully connected to OpenAI API", organization_id="org-SIMULATEDACME"
        )
        assert len(simulator.requests) <= 2


def test_wrong_key_fails_without_repeating_the_key() -> None:
    with running() as simulator:
        found = check(simulator, key=_KEY)
    assert (found.ok, found.headline) == (False, "Authentication failed - please check your API key")
    assert found.advice
    assert not any(part in f"{found}" for part in ("sk-admin", "abcd"))


@pytest.mark.parametrize(
    ("prefix", "kind"), [("sk-proj-", "a project key"), ("sk-svcacct-", "a service account's key")]
)
def test_another_kind_of_key_fails_without_a_request_and_names_the_kind(prefix: str, kind: str) -> None:
    with running() as simulator:
        found = check(simulator, key=f"{prefix}0123456789")
        assert simulator.requests == []
    assert (found.ok, found.headline) == (False, "Authentication failed - please check your API key")
    assert kind in (found.advice or "")
    assert "admin key" in (found.advice or "")
    assert "0123456789" not in f"{found}"


def test_missing_scope_fails_with_status_and_scope() -> None:
    organization = SimulatedOrganization(scopes=frozenset())
    with Simulator([organization], clock=lambda: NOW) as simulator:
        found = check(simulator)
        assert len(simulator.requests) == 1
    assert (found.ok, found.headline) == (False, "Connection failed with status 403")
    assert "api.usage.read" in (found.advice or "")


def test_wrong_path_fails_with_an_example_base_url() -> None:
    with running() as simulator:
        found = check(simulator, path="/elsewhere")
    assert (found.ok, found.headline) == (False, "Connection failed with status 404")
    assert "https://api.openai.com/v1" in (found.advice or "")


def test_key_of_another_organization_fails_with_both_ids() -> None:
    with running() as simulator:
        found = check(simulator, expected_id="org-EXPECTED")
    assert not found.ok
    assert "org-EXPECTED" in (found.advice or "")
    assert "org-SIMULATEDACME" in (found.advice or "")


def test_missing_server_fails_without_a_status() -> None:
    with running() as simulator:
        base_url = simulator.base_url
    found = check_connection(ConnectionSettings(base_url, lambda: _KEY), None, lambda: NOW)
    assert (found.ok, found.headline) == (False, "Connection failed")
    assert found.advice


def test_temporary_errors_are_retried() -> None:
    with running() as simulator:
        simulator.faults.queue(Fault(FaultKind.BAD_GATEWAY), Fault(FaultKind.RESET))
        assert check(simulator).ok


def test_persistent_errors_fail_within_the_interactive_time_limit(pauses: Pauses) -> None:
    with running() as simulator:
        simulator.faults.ratio(1, seed=1, kinds=[FaultKind.UNAVAILABLE])
        found = check(simulator)
        assert len(simulator.requests) == INTERACTIVE.attempts
    assert (found.ok, found.headline) == (False, "Connection failed with status 503")
    assert sum(pauses) <= INTERACTIVE.seconds


def test_missing_key_raises_secret_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    settings = ConnectionSettings("http://127.0.0.1:9/v1", SecretReference(env="NO_SUCH_KEY").read)
    with pytest.raises(SecretUnavailable, match="NO_SUCH_KEY"):
        check_connection(settings, None, lambda: NOW)


def test_invalid_url_is_a_failed_check() -> None:
    found = check_connection(ConnectionSettings("https://api..example/v1", lambda: _KEY), None, lambda: NOW)
    assert not found.ok


@pytest.mark.parametrize(
    ("key", "base_url", "warned"),
    [
        ("sk-admin-x", "https://api.openai.com/v1", False),
        ("sk-x", "https://api.openai.com/v1", True),
        ("sk-x", "https://proxy.example/v1", False),
        ("tok_x", "https://proxy.example/v1", False),
    ],
)
def test_unusual_key_causes_a_warning_only_for_openais_host(key: str, base_url: str, warned: bool) -> None:
    warning = admin_key_warning(ConnectionSettings(base_url, lambda: key))
    assert (warning is not None) == warned
    assert warning is None or key not in warning


def test_every_api_error_becomes_a_failed_check_with_its_message() -> None:
    kinds: list[errors.ApiError] = [
        errors.IncompletePagination("the pages end early"),
        errors.UnexpectedSchema("no JSON", status=200),
    ]
    for error in kinds:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("openai_costs_dagster.api.connection_check.read_costs", _raising(error))
            found = check_connection(ConnectionSettings("http://127.0.0.1:9/v1", lambda: _KEY), None, lambda: NOW)
        assert not found.ok
        assert str(error) in (found.advice or "")


def _raising(error: Exception) -> object:
    def read(*_: object) -> None:
        raise error

    return read
