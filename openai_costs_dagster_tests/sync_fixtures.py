"""Fixtures of tests that synchronize an organization, from the simulator or from a server of rows."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from openai_costs_dagster.configuration import Budget
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.orchestration import partitions
from openai_costs_dagster.orchestration.assets import costs as assets_costs
from openai_costs_dagster.simulator import Deviations, SimulatedOrganization
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.outcome import Outcome
from openai_costs_dagster.warehouse.database import Database

from .conftest import Clock, Configure, MakeOrganization, RunSimulator
from .row_server import RowServer
from .served_organization import Serve, ServedOrganization
from .sync_setup import SyncSetup, small_organization

MakeSyncSetup = Callable[..., SyncSetup]
"""The type of the fixture `make_sync_setup`."""


@pytest.fixture
def make_sync_setup(
    database: Database, simulator: RunSimulator, organization: MakeOrganization, clock: Clock
) -> MakeSyncSetup:
    """Return a function that simulates an organization and configures it with `settings`.

    The default is `small_organization`.
    """

    def make(
        simulated: SimulatedOrganization | None = None,
        *,
        deviations: Deviations = Deviations(),  # noqa: B008  # frozen
        **settings: Any,
    ) -> SyncSetup:
        simulated = simulated or small_organization()
        running = simulator(simulated, deviations=deviations)
        return SyncSetup(database, running, simulated, clock, organization(running, **settings))

    return make


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def runs_at_the_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Let runs that Dagster starts use `clock`, also for the start of a history that is not stored yet."""

    def ingest_at_the_clock(request: CostsRequest) -> Outcome:
        return ingest_costs(replace(request, now=clock))

    monkeypatch.setattr(assets_costs, "ingest_costs", ingest_at_the_clock)
    monkeypatch.setattr(partitions, "utc_now", clock)


@pytest.fixture
def serve(database: Database, clock: Clock, configure: Configure, tmp_path: Path) -> Iterator[Serve]:
    """Start servers of rows that run until the test ends, at the time of `clock`."""
    with ExitStack() as stack:

        def start(server: RowServer, **settings: Any) -> ServedOrganization:
            server.today = lambda: clock.today
            stack.enter_context(server)
            organization = server.organization(tmp_path, **settings)
            configuration = configure(organization, database=database)
            return ServedOrganization(server, organization, database, clock, configuration)

        yield start


@pytest.fixture
def served(serve: Serve, clock: Clock) -> ServedOrganization:
    """Serve an organization without rows and with one monthly budget of $4,000; a test sets `served.server.rows`."""
    budgets = (Budget(amount_usd=Decimal(4000)),)
    return serve(RowServer(), start_date=clock.today - 90 * ONE_DAY, budgets=budgets)
