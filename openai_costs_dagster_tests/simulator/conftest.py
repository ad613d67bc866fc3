"""Fixtures of a simulator with one organization, without proxies of the environment."""

from collections.abc import Iterator

import pytest

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .http_requests import NOW


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def organization() -> SimulatedOrganization:
    """An organization that is served every grouping."""
    return SimulatedOrganization(api_keys_from=None, users_with_projects_served=True)


@pytest.fixture
def simulator(organization: SimulatedOrganization) -> Iterator[Simulator]:
    with Simulator([organization], clock=lambda: NOW) as running:
        yield running
