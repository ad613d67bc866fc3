"""Fixtures of tests that synchronize an organization: simulated, or served by a server of fixed answers."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from openai_costs_dagster.configuration import Budget, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.orchestration import partitions
from openai_costs_dagster.orchestration.assets import costs as assets_costs
from openai_costs_dagster.simulator import Quirks, SimulatedOrganization
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.outcome import Outcome
from openai_costs_dagster.warehouse.database import Database

from .bench import Bench, small_world
from .conftest import Clock, Configure, MakeOrganization, RunSimulator
from .plain_reader import MakeReader, Reader
from .plain_server import PlainServer
from .served_costs import Costs, Place, serving

MakeBench = Callable[..., Bench]


@pytest.fixture
def bench(database: Database, simulator: RunSimulator, organization: MakeOrganization, clock: Clock) -> MakeBench:
    """Makes a simulated organization, small unless told, and all it takes to read it; `settings` are configured."""

    def make(
        world: SimulatedOrganization | None = None,
        *,
        quirks: Quirks = Quirks(),  # noqa: B008  # frozen
        **settings: Any,
    ) -> Bench:
        world = world or small_world()
        running = simulator(world, quirks=quirks)
        return Bench(database, running, world, clock, organization(running, **settings))

    return make


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def runs_at_the_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Runs that Dagster starts read at the time of `clock`, and an unknown history begins a year before it."""

    def ingest_at_the_clock(request: CostsRequest) -> Outcome:
        return ingest_costs(replace(request, now=clock))

    monkeypatch.setattr(assets_costs, "ingest_costs", ingest_at_the_clock)
    monkeypatch.setattr(partitions, "utc_now", clock)


@pytest.fixture
def costs() -> Costs:
    return Costs()


@pytest.fixture
def place(costs: Costs, database: Database, clock: Clock, configure: Configure, tmp_path: Path) -> Iterator[Place]:
    """An organization of the rows of `costs`, with one monthly budget of $4,000."""
    file = tmp_path / "acme.key"
    file.write_text("sk-admin-" + "Served0123456789", encoding="utf-8")
    with serving(costs) as base_url:
        organization = Organization(
            name="acme",
            admin_key=SecretReference(file=file),
            base_url=base_url,
            start_date=clock.today - 90 * ONE_DAY,
            budgets=(Budget(amount_usd=Decimal(4000)),),
        )
        yield Place(organization, database, clock, configure(organization, database=database))


@pytest.fixture
def reader(database: Database, clock: Clock, tmp_path: Path) -> Iterator[MakeReader]:
    servers: list[PlainServer] = []

    def make(server: PlainServer, **settings: Any) -> Reader:
        server.today = lambda: clock.today
        servers.append(server.__enter__())
        return Reader(server, server.organization(tmp_path, **settings), database, clock)

    yield make
    for server in servers:
        server.__exit__(None, None, None)
