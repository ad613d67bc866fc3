"""What most commands begin with: the configuration, its database, the organizations that were named."""

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
    """A configuration and its database, with the schema up to date."""

    configuration: Configuration
    database: Database

    @property
    def environment(self) -> dict[str, str]:
        """What Dagster's processes need."""
        return instance.environment(self.configuration, self.database)

    @property
    def log_file(self) -> Path:
        """Where the processes that we start keep their log."""
        return self.configuration.make_folder("logs") / "openai-costs.log"


def open_session(configuration: Configuration | None = None) -> Session:
    """Opens the database of a configuration, the user's own by default, and brings its schema up to date.

    Raises ConfigurationError, SecretUnavailable or WarehouseError.
    """
    configuration = configuration or load()
    database = database_access.database(configuration)
    instance.prepare(database)
    reclassify(database)
    return Session(configuration, database)


def selected_organizations(configuration: Configuration, names: Sequence[str]) -> list[Organization]:
    """The organizations named, or all. Raises ConfigurationError for an unknown name."""
    return [configuration.organization(name) for name in dict.fromkeys(names or configuration.organizations)]
