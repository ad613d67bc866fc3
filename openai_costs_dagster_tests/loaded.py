"""A workplace with stored days, made once for all folders that look at one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .cli.program import Finished, Workplace, days_ago, workplace, yesterday


@dataclass(frozen=True)
class Loaded:
    """Two organizations whose days are stored, how the backfill that stored them went, and a third one to remove."""

    place: Workplace
    simulator: Simulator
    organizations: dict[str, SimulatedOrganization]
    backfill: Finished


HISTORY = 61  # days
VANISHING_HISTORY = 3


@pytest.fixture(scope="session")
def loaded() -> Iterator[Loaded]:
    """Shared: whoever changes what is stored does so to organizations of its own."""
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
