"""The configuration: `settings` holds all settings, `loading` reads them, `renames` lists renamed ones. No Dagster."""

from __future__ import annotations

from openai_costs_dagster.configuration.loading import (
    from_environment,
    from_mapping,
    lines_of_organization,
    load,
    read_file,
)
from openai_costs_dagster.configuration.settings import (
    DEFAULT_PREFIX,
    PROJECT_CHANNEL_PREFIX,
    SIMULATED_MARKER,
    Alert,
    Anomalies,
    Budget,
    Configuration,
    ConfigurationError,
    DatabaseSettings,
    Organization,
    Refresh,
)

__all__ = [
    "DEFAULT_PREFIX",
    "PROJECT_CHANNEL_PREFIX",
    "SIMULATED_MARKER",
    "Alert",
    "Anomalies",
    "Budget",
    "Configuration",
    "ConfigurationError",
    "DatabaseSettings",
    "Organization",
    "Refresh",
    "from_environment",
    "from_mapping",
    "lines_of_organization",
    "load",
    "read_file",
]
