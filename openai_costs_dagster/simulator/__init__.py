"""A simulator of OpenAI's Admin API for the demo and the tests.

The simulator serves these endpoints over HTTP on the loopback interface. All data of a day follow from a seed.

- `GET /v1/organization/costs`
- `GET /v1/organization/usage/{completions, embeddings, ...}`, computed from the same facts as the costs
- `GET /v1/organization/{projects, projects/{id}, projects/{id}/api_keys, users, admin_api_keys}`
- `GET /v1/organization/{spend_limit, spend_alerts}`

`Deviations` switches the known differences between the live API and its published specification. `Faults` produces
errors on demand. Tests compare responses with the generated data: `SimulatedOrganization.facts(day)` for costs and
`SimulatedOrganization.usage_facts(day)` for usage.

To add an endpoint:

- a usage endpoint: add a `UsageEndpoint` to `usage_endpoints.ENDPOINTS`;
- a list of names or settings: add a function to `directory._DIRECTORIES`;
- any other endpoint: add a route to `routes._route`.

To add a fault, add a member to `faults.FaultKind` and handle it in `faults.apply_fault`. A fault that only makes sense
for a page of days also belongs in `faults.PAGE_FAULTS`.

Rules for this package:

- The server listens only on the loopback interface.
- The package imports no other package of this project. With a shared module, client and simulator could make the same
  mistake.
- No name, id or key may look like that of a real company, and no key is logged.
- Amounts are never floats.
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
