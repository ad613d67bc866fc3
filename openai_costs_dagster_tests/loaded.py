"""Two organizations with stored days, created once per test session for all tests that only read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .cli.program import Finished, Workplace, days_ago, workplace, yesterday


@dataclass(frozen=True)
class Loaded:
    """The working directory of the program, its simulated organizations, and the finished backfill that stored them.

    The organization `vanishing` is in the configuration `with_vanishing.yaml` only, so that tests can remove it.
    """

    place: Workplace
    simulator: Simulator
    organizations: dict[str, SimulatedOrganization]
    backfill: Finished


HISTORY = 61
"""Days that are stored of `acme` and `beta`, including today."""
VANISHING_HISTORY = 3
"""Days that are stored of `vanishing`, including today."""


@pytest.fixture(scope="session")
def loaded() -> Iterator[Loaded]:
    """Store the organizations with a real backfill. A test that changes stored rows must use its own organization."""
    organizations = {
        "acme": SimulatedOrganization(api_keys_from=None, users_with_projects_served=True),
        "beta": SimulatedOrganization(organization_id="org-SIMULATEDBETA", admin_key="sk-admin-simulated-beta", seed=5),
    }
    organizations["acme"].plant_anomaly(yesterday(), 9)
    vanishing = SimulatedOrganization(organization_id="org-SIMULATEDLEAVES", admin_key="sk-admin-simulated-leaves")
    with Simulator([*organizations.values(), vanishing]) as simulator, workplace() as place:
        place.configure(
            simulator,
            {**organizations, "vanishing": vanishing},
            file="with_vanishing.yaml",
            start_date=days_ago(HISTORY - 1),
            start_dates={"vanishing": days_ago(VANISHING_HISTORY - 1)},
        )
        place.configure(simulator, organizations, start_date=days_ago(HISTORY - 1))
        yield Loaded(place, simulator, organizations, place.run("backfill", OPENAI_COSTS_CONFIG="with_vanishing.yaml"))
