"""Reads one organization of a plain server, which is not the simulator, and queries what was stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.sync.allocation import AllocationOutcome, allocate_days
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.directory import DirectoryOutcome, sync_directory
from openai_costs_dagster.sync.outcome import Outcome
from openai_costs_dagster.sync.usage import UsageOutcome, UsageRequest, ingest_usage
from openai_costs_dagster.warehouse.database import Database

from .conftest import Clock
from .plain_server import PlainServer

DAY = dt.date(2026, 2, 3)
DAYS = [DAY, DAY + ONE_DAY]


class Reader:
    """Reads one organization of a plain server, and queries what was stored."""

    def __init__(self, server: PlainServer, organization: Organization, database: Database, clock: Clock) -> None:
        self.server = server
        self.organization = organization
        self.database = database
        self.clock = clock

    def costs(self) -> Outcome:
        return ingest_costs(CostsRequest(self.organization, self.database, DAYS, now=self.clock))

    def usage(self) -> UsageOutcome:
        return ingest_usage(UsageRequest(self.organization, self.database, DAYS, now=self.clock))

    def names(self) -> DirectoryOutcome:
        return sync_directory(self.organization, self.database, now=self.clock)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(text.encode()).fetchall()

    def allocate(self) -> AllocationOutcome:
        with self.database.connect() as connection:
            return allocate_days(connection, self.organization.name, DAYS, self.clock.now)


MakeReader = Callable[..., Reader]
