"""A simulated OpenAI Admin API with a believable past, for the demo and the tests.

It serves `GET /v1/organization/costs` over real HTTP on loopback, for organizations whose every day follows
from a seed, with the departures of the live API from its published spec (`Quirks`) and with breakages on
demand (`Faults`). What it serves can be held against what happened: `SimulatedOrganization.facts(day)` is the
truth.

It must never listen on anything but loopback, never import another room of this project (a mistake shared by
the reader and the simulator would go unseen), never hand out anything that could be taken for a real key or a
real company, never let a float touch an amount, and never log a key.
"""

from openai_costs_dagster.simulator.answers import Answer, Page, answer
from openai_costs_dagster.simulator.facts import Fact
from openai_costs_dagster.simulator.faults import Fault, FaultKind, Faults
from openai_costs_dagster.simulator.quirks import Quirks
from openai_costs_dagster.simulator.server import RecordedRequest, Simulator
from openai_costs_dagster.simulator.workloads import ApiKey, Meter, Project, User, Workload
from openai_costs_dagster.simulator.world import SimulatedOrganization, demo_organizations

__all__ = [
    "Answer",
    "ApiKey",
    "Fact",
    "Fault",
    "FaultKind",
    "Faults",
    "Meter",
    "Page",
    "Project",
    "Quirks",
    "RecordedRequest",
    "SimulatedOrganization",
    "Simulator",
    "User",
    "Workload",
    "answer",
    "demo_organizations",
]
