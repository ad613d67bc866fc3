"""A simulated organization that uses every usage endpoint."""

from openai_costs_dagster.simulator import DECISIONS, USAGE_ENDPOINTS, SimulatedOrganization, Workload, catalogue
from openai_costs_dagster.simulator.companies import LAB, SHOP

_DECISIONS = catalogue.chat("gpt-6-astra", ("5", "0.5", "30"))
_LONG_CACHE_WRITES = catalogue.plain("gpt-5.5-2026-04-23, cache writes - 12hr", catalogue.per_million("9"), share=0.02)
_MODERATIONS = (catalogue.plain("omni-moderation-2024-09-26, input", catalogue.per_million("0")),)
_AT, _BY = LAB[0].project, LAB[0].key

FULL_WORKLOADS: tuple[Workload, ...] = (
    *LAB,
    *(work for work in SHOP if work.operation == "audio_speeches"),
    Workload((_LONG_CACHE_WRITES,), 900_000, "completions", "gpt-5.5-2026-04-23", _AT, _BY),
    Workload(_DECISIONS, 400_000, DECISIONS, "gpt-6-astra", _AT, _BY, agents=0.5),
    Workload(_MODERATIONS, 70_000, "moderations", "omni-moderation-2024-09-26", _AT, _BY),
)
ALL_ENDPOINTS = sorted({*USAGE_ENDPOINTS, DECISIONS})


def full_organization() -> SimulatedOrganization:
    """Return an organization that uses every endpoint and is served every grouping."""
    return SimulatedOrganization(
        workloads=FULL_WORKLOADS,
        api_keys_from=None,
        users_with_projects_served=True,
        usage_endpoints={*USAGE_ENDPOINTS, DECISIONS},
    )
