"""A simulated OpenAI Admin API with a believable past, for the demo and the tests.

Over real HTTP on loopback it serves, for organizations whose every day follows from a seed:

- `GET /v1/organization/costs`;
- `GET /v1/organization/usage/{completions, embeddings …}`, counted from the same facts, so that a billed
  quantity of tokens is the number counted (`SimulatedOrganization.usage_endpoints` says which there are);
- `GET /v1/organization/{projects, projects/{id}, projects/{id}/api_keys, users, admin_api_keys}`.

It does so with the departures of the live API from its published spec (`Deviations`) and with breakages on demand
(`Faults`). What it serves can be held against what happened: `SimulatedOrganization.facts(day)` is the truth of
costs, `SimulatedOrganization.usage_facts(day)` that of usage.

It must never listen on anything but loopback, never import another room of this project (a mistake shared by
the reader and the simulator would go unseen), never hand out anything that could be taken for a real key or a
real company, never let a float touch an amount, and never log a key.
"""

from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.facts import Fact
from openai_costs_dagster.simulator.faults import Fault, FaultKind, Faults
from openai_costs_dagster.simulator.organization import (
    DECISIONS,
    USAGE_ENDPOINTS,
    SimulatedOrganization,
    demo_organizations,
)
from openai_costs_dagster.simulator.pagination import Page
from openai_costs_dagster.simulator.routes import Response, respond
from openai_costs_dagster.simulator.server import RecordedRequest, Simulator
from openai_costs_dagster.simulator.workloads import ApiKey, Meter, Project, User, Workload

__all__ = [
    "DECISIONS",
    "USAGE_ENDPOINTS",
    "ApiKey",
    "Deviations",
    "Fact",
    "Fault",
    "FaultKind",
    "Faults",
    "Meter",
    "Page",
    "Project",
    "RecordedRequest",
    "Response",
    "SimulatedOrganization",
    "Simulator",
    "User",
    "Workload",
    "demo_organizations",
    "respond",
]
