"""A browser, and the report that the program writes of two simulated organizations."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from ..cli.program import Finished, Workplace, days_ago
from ..loaded import HISTORY, Loaded
from .chromium import HOW_TO_GET_IT, chromium, executable

DAGSTER = "http://dagster.example"


@dataclass(frozen=True)
class Reported:
    """A workplace with stored days, and the page that was made of them."""

    place: Workplace
    organizations: Collection[str]
    made: Finished
    page: Path

    def spend(self, first: object, last: object, **equal: str | None) -> Any:
        """What SQL says was spent on some days by what is equal, in US dollars."""
        conditions = "".join(f" and {column} is not distinct from %s" for column in equal)
        ((amount,),) = self.place.sql(
            "select coalesce(sum(amount), 0) from openai_costs.allocated_costs"  # noqa: S608  # our own columns
            " where currency = 'usd' and organization = any(%s) and usage_date between %s and %s" + conditions,
            list(self.organizations),
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
def reported(loaded: Loaded) -> Reported:
    """Of stored days that other folders look at too: it is made of what is stored when the first test asks."""
    place, organizations = loaded.place, loaded.organizations
    config = place.configure(
        loaded.simulator,
        organizations,
        file="with_links.yaml",
        start_date=days_ago(HISTORY - 1),
        dagster_url=DAGSTER,
    )
    (place.folder / "pages").mkdir()
    made = place.run("report", "--out", "pages/spend.html", OPENAI_COSTS_CONFIG=str(config))
    return Reported(place, organizations, made, place.folder / "pages" / "spend.html")
