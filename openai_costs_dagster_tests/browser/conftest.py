"""Fixtures: a browser, and the report of two simulated organizations."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from ..cli.program import Finished, Workplace, days_ago
from ..loaded import HISTORY, Loaded
from .chromium import INSTALL_HINT, chromium, executable

DAGSTER = "http://dagster.example"


@dataclass(frozen=True)
class WrittenPage:
    """A page that the command `report` wrote, and the workplace with its database."""

    place: Workplace
    organizations: Collection[str]
    command: Finished
    page: Path

    def spend(self, first: object, last: object, **equal: str | None) -> Any:
        """Return the spend in US dollars from `first` to `last`, by SQL, of rows with equal column values."""
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
        pytest.skip(INSTALL_HINT)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def written(loaded: Loaded) -> WrittenPage:
    """Write the report of the stored days, which tests of other folders share."""
    place, organizations = loaded.place, loaded.organizations
    config = place.configure(
        loaded.simulator,
        organizations,
        file="with_links.yaml",
        start_date=days_ago(HISTORY - 1),
        dagster_url=DAGSTER,
    )
    (place.folder / "pages").mkdir()
    command = place.run("report", "--out", "pages/spend.html", OPENAI_COSTS_CONFIG=str(config))
    return WrittenPage(place, organizations, command, place.folder / "pages" / "spend.html")
