"""Find, read and check the configuration: `openai_costs.yaml` or `OPENAI_ADMIN_KEY` alone. Never imports Dagster."""

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
