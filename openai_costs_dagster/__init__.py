"""Every OpenAI organization's daily bill in Postgres, exact to the last digit, watched by Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai_costs_dagster.version import __version__

if TYPE_CHECKING:
    from openai_costs_dagster.component import OpenAICostsComponent
    from openai_costs_dagster.configuration import Configuration
    from openai_costs_dagster.orchestration.build import build_definitions

__all__ = ["Configuration", "OpenAICostsComponent", "__version__", "build_definitions"]


def __getattr__(name: str) -> Any:
    """Imports Dagster only where someone asks for what needs it: the rooms below must load without it."""
    if name == "build_definitions":
        from openai_costs_dagster.orchestration.build import build_definitions

        return build_definitions
    if name == "OpenAICostsComponent":
        from openai_costs_dagster.component import OpenAICostsComponent

        return OpenAICostsComponent
    if name == "Configuration":
        from openai_costs_dagster.configuration import Configuration

        return Configuration
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """What `dg` looks through for components, those that are not imported yet as well."""
    return sorted({*globals(), *__all__})
