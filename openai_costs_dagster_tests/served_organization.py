"""An organization whose rows a test defines, the server of these rows, and the database that stores the costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.status import Overview, overviews
from openai_costs_dagster.sync.allocation import AllocationOutcome, allocate_days
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.directory import DirectoryOutcome, sync_directory
from openai_costs_dagster.sync.outcome import Outcome
from openai_costs_dagster.sync.usage import UsageOutcome, UsageRequest, ingest_usage
from openai_costs_dagster.warehouse.database import Database

from .conftest import Clock
from .row_server import Row, RowServer

DAY = dt.date(2026, 2, 3)
DAYS = (DAY, DAY + ONE_DAY)


def cost(amount: str, currency: str | None = "usd", **fields: Any) -> Row:
    """Return a cost row of 1,000 output tokens of one project, user and API key."""
    dimensions = {"project_id": "proj_a", "user_id": "user-a", "api_key_id": "key_a"}
    item = {"line_item": "gpt-5-mini-2025-08-07, output", "quantity": 1000, "quantity_unit": "tokens"}
    return {**dimensions, **item, "amount": amount, "currency": currency, **fields}


@dataclass
class ServedOrganization:
    """The organization, its server, its database and the clock of both; `query` reads the stored rows."""

    server: RowServer
    organization: Organization
    database: Database
    clock: Clock
    configuration: Configuration

    @property
    def month(self) -> DayRange:
        """The days of the clock's month, up to and including today."""
        return DayRange(self.clock.today.replace(day=1), self.clock.today)

    def ingest(self, days: Iterable[dt.date] = DAYS) -> Outcome:
        return ingest_costs(CostsRequest(self.organization, self.database, list(days), now=self.clock))

    def load(self, days: Iterable[dt.date]) -> Outcome:
        """Ingest the days and fail the test if a day could not be stored."""
        outcome = self.ingest(days)
        assert outcome.failed == {}
        return outcome

    def ingest_usage(self) -> UsageOutcome:
        return ingest_usage(UsageRequest(self.organization, self.database, DAYS, now=self.clock))

    def sync_directory(self) -> DirectoryOutcome:
        return sync_directory(self.organization, self.database, now=self.clock)

    def allocate(self) -> AllocationOutcome:
        with self.database.connect() as connection:
            return allocate_days(connection, self.organization.name, DAYS, self.clock.now)

    def overview(self) -> Overview:
        """Return the data that `openai-costs status` prints for the organization."""
        (found,) = overviews(self.configuration, self.database, self.clock.now)
        return found

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(text.encode()).fetchall()


Serve = Callable[..., ServedOrganization]
"""Starts a `RowServer` and configures its organization; keyword arguments are settings of the organization."""
