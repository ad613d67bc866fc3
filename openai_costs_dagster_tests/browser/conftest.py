"""Fixtures of the browser tests: a browser, and the report of two simulated organizations."""

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
    """A report that `openai-costs report` wrote, and the working directory with its database."""

    place: Workplace
    organizations: Collection[str]
    command: Finished
    page: Path

    def spend(self, first: object, last: object, **filters: str | None) -> Any:
        """Return the spend from `first` to `last` in US dollars, summed in SQL over rows with the given values."""
        conditions = "".join(f" and {column} is not distinct from %s" for column in filters)
        ((amount,),) = self.place.sql(
            "select coalesce(sum(amount), 0) from openai_costs.allocated_costs"  # noqa: S608  # our own columns
            " where currency = 'usd' and organization = any(%s) and usage_date between %s and %s" + conditions,
            list(self.organizations),
            first,
            last,
            *filters.values(),
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
    """Write the report of all stored days. Tests of other folders use the same database."""
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
