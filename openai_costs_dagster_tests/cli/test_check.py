"""Tests of `check`, which reports the connection of each organization with a remedy and never prints a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from openai_costs_dagster.simulator import Fault, FaultKind, SimulatedOrganization, Simulator

from .conftest import RunCommand
from .program import Workplace, lines

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


def test_an_organization_that_never_spent_anything_cannot_be_named(
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


def test_a_key_that_the_api_echoes_is_never_shown(
    run_command: RunCommand, api: Simulator, organization: SimulatedOrganization
) -> None:
    organization.revoke_key()
    printed = run_command("check").output + run_command("--log-format", "json", "check").output
    assert KEY not in printed
    assert "sk-admin*" not in printed  # the beginning and the end, as the API shows them
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
def test_a_key_of_another_kind_costs_no_request(run_command: RunCommand, api: Simulator, prefix: str) -> None:
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


def test_an_odd_key_is_tried_at_another_endpoint(
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


def test_retries_are_logged_on_standard_error_only(place: Workplace, api: Simulator) -> None:
    api.faults.queue(Fault(FaultKind.SERVER_ERROR))
    environment = {"OPENAI_ADMIN_KEY": KEY, "OPENAI_BASE_URL": api.base_url}
    in_text = place.run("check", **environment)
    assert in_text.code == 0
    assert lines(in_text.out)[0] == "default: Successfully connected to OpenAI API"
    assert "the server returned status 500" in in_text.err
    api.faults.queue(Fault(FaultKind.SERVER_ERROR))
    in_json = place.run("--log-format", "json", "check", **environment)
    assert lines(in_json.out)[0] == "default: Successfully connected to OpenAI API"
    (line,) = [json.loads(line) for line in lines(in_json.err)]
    assert line["level"] == "warning"
    assert "the server returned status 500" in json.dumps(line)
