"""The setup that most commands share: the configuration, its database and the selected organizations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openai_costs_dagster.configuration import Configuration, Organization, load
from openai_costs_dagster.orchestration import database_access
from openai_costs_dagster.orchestration.runtime import instance
from openai_costs_dagster.sync.reclassification import reclassify
from openai_costs_dagster.warehouse.database import Database


@dataclass(frozen=True)
class Session:
    """A configuration and its database, whose schema is up to date."""

    configuration: Configuration
    database: Database

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that Dagster's processes need."""
        return instance.environment(self.configuration, self.database)

    @property
    def log_file(self) -> Path:
        """The log file of the processes that commands start."""
        return self.configuration.make_folder("logs") / "openai-costs.log"


def open_session(configuration: Configuration | None = None) -> Session:
    """Open the database of a configuration, by default of the user's, and migrate its schema.

    Raises `ConfigurationError`, `SecretUnavailable` or `WarehouseError`.
    """
    configuration = configuration or load()
    database = database_access.database(configuration)
    instance.prepare(database)
    # A new release can contain new classification rules for stored line items.
    reclassify(database)
    return Session(configuration, database)


def selected_organizations(configuration: Configuration, names: Sequence[str]) -> list[Organization]:
    """Return the organizations with the given names, or all. Raises `ConfigurationError` for an unknown name."""
    # A name that is given twice must not start two runs of the same organization.
    return [configuration.organization(name) for name in dict.fromkeys(names or configuration.organizations)]
