"""A browser, and the report that the program writes of two simulated organizations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from ..cli.program import YESTERDAY, Finished, Workplace, days_ago, workplace
from .chromium import HOW_TO_GET_IT, chromium, executable

HISTORY = 100  # days
DAGSTER = "http://dagster.example"


@dataclass(frozen=True)
class Reported:
    """A workplace with stored days, and the page that was made of them."""

    place: Workplace
    made: Finished
    page: Path

    def spend(self, first: object, last: object, **equal: str | None) -> Any:
        """What SQL says was spent on some days by what is equal, in US dollars."""
        conditions = "".join(f" and {column} is not distinct from %s" for column in equal)
        ((amount,),) = self.place.sql(
            "select coalesce(sum(amount), 0) from openai_costs.allocated_costs"  # noqa: S608  # our own columns
            f" where currency = 'usd' and usage_date between %s and %s{conditions}",
            first,
            last,
            *equal.values(),
        )
        return amount


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if executable() is None:
        pytest.skip(HOW_TO_GET_IT)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def reported() -> Iterator[Reported]:
    organizations = {
        "acme": SimulatedOrganization(api_keys_from=None, users_with_projects_served=True),
        "beta": SimulatedOrganization(organization_id="org-SIMULATEDBETA", admin_key="sk-admin-simulated-beta", seed=5),
    }
    organizations["acme"].plant_anomaly(YESTERDAY, 9)
    with Simulator(list(organizations.values())) as simulator, workplace() as place:
        place.configure(
            simulator,
            organizations,
            start_date=days_ago(HISTORY - 1),
            dagster_url=DAGSTER,
            anomalies={"sensitivity": "medium", "minimum_impact_usd": 5},
        )
        assert place.run("backfill").code == 0
        made = place.run("report", "--out", "pages/spend.html")
        yield Reported(place, made, place.folder / "pages" / "spend.html")
