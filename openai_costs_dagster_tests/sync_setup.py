"""The setup of a synchronization test: a simulated organization, its database, and the expected sums."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact
from typing import Any

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.simulator import Fact, SimulatedOrganization
from openai_costs_dagster.simulator.companies import SHOP
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.outcome import Outcome
from openai_costs_dagster.warehouse.database import Database

from .conftest import Clock, ScriptedSimulator

WIDE = Context(prec=400, traps=[Inexact])
"""Decimal arithmetic that raises instead of rounding."""
DIMENSIONS = ("project_id", "line_item")

Sums = dict[tuple[Any, ...], Decimal]
"""Amounts by day and dimensions."""


def small_organization(**settings: Any) -> SimulatedOrganization:
    """Return an organization of about five cost rows a day: two line items with an API key and one without."""
    return SimulatedOrganization(workloads=SHOP[:3], **settings)


def days(first: dt.date, count: int) -> list[dt.date]:
    """Return `count` consecutive days that start with `first`."""
    return [first + number * ONE_DAY for number in range(count)]


@dataclass
class SyncSetup:
    """A simulated organization with its simulator, its configuration, its database and the clock of both sides."""

    database: Database
    simulator: ScriptedSimulator
    simulated: SimulatedOrganization
    clock: Clock
    organization: Organization

    @property
    def year(self) -> list[dt.date]:
        """All days that OpenAI serves at the time of the clock, including today."""
        return days(self.clock.today - 365 * ONE_DAY, 366)

    def ingest(self, requested_days: Iterable[dt.date], **options: Any) -> Outcome:
        """Synchronize the costs of the days; `options` are fields of `CostsRequest`."""
        values: dict[str, Any] = {"now": self.clock, **options}
        return ingest_costs(CostsRequest(self.organization, self.database, list(requested_days), **values))

    def stored(self, by: Collection[str] = DIMENSIONS, organization: str | None = None) -> Sums:
        """Return the sums of the view `daily_costs`; rows without an amount count as zero."""
        columns = ", ".join(("usage_date", *by))
        with self.database.connect() as connection:
            found = connection.execute(
                f"select {columns}, sum(coalesce(amount, 0)) from openai_costs.daily_costs "  # noqa: S608  # names from the test
                f"where organization = %s group by {columns}",
                [organization or self.organization.name],
            ).fetchall()
        return {key: amount for *parts, amount in found for key in [tuple(parts)]}

    def expected(self, requested_days: Iterable[dt.date], by: Collection[str] = DIMENSIONS) -> Sums:
        """Return the sums that the simulator generated."""
        sums: Sums = {}
        for day in requested_days:
            for fact in self.simulated.facts_until(day, self.clock.now):
                key = (day, *(getattr(fact, name) for name in by))
                sums[key] = WIDE.add(sums.get(key, Decimal(0)), fact.amount or Decimal(0))
        return sums

    def query(self, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(text, parameters).fetchall()

    def stored_days(self) -> list[dt.date]:
        found = self.query(
            "select usage_date from openai_costs.cost_days where organization = %s order by 1", self.organization.name
        )
        return [day for (day,) in found]


def spent(facts: Iterable[Fact]) -> Decimal:
    """Return the exact sum of the amounts of simulated facts."""
    return total(dict(enumerate(fact.amount or Decimal(0) for fact in facts)))


def total(sums: Mapping[Any, Decimal]) -> Decimal:
    """Return the exact sum, which may have more than the 28 digits of Python's default context."""
    result = Decimal(0)
    for amount in sums.values():
        result = WIDE.add(result, amount)
    return result
