"""Loads the daily costs and usage of OpenAI organizations into Postgres, and monitors them with Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai_costs_dagster.version import __version__

if TYPE_CHECKING:
    from openai_costs_dagster.component import OpenAICostsComponent
    from openai_costs_dagster.configuration import Configuration
    from openai_costs_dagster.orchestration.build import build_definitions

__all__ = ["Configuration", "OpenAICostsComponent", "__version__", "build_definitions"]


def __getattr__(name: str) -> Any:
    """Import a public name on first use.

    An import at the top of this module would load Dagster for every command, which takes seconds.
    """
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
    """Return all names, including names that are not imported yet: `dg` searches this list for components."""
    return sorted({*globals(), *__all__})
