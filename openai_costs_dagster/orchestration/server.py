"""Which database a configuration means: the user's own, or the embedded server in the data directory."""

from __future__ import annotations

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Database


class NotStarted(Exception):
    """The embedded server was never started, so nothing is stored yet."""


def database(configuration: Configuration) -> Database:
    """The configured database; starts the embedded server. Raises WarehouseError or SecretUnavailable."""
    if configuration.database:
        return Database(configuration.database.url.read())
    return Database(embedded.start(configuration.data_directory))


def existing_database(configuration: Configuration) -> Database:
    """The same, but raises NotStarted rather than make an embedded server for the first time."""
    if configuration.database is None and not embedded.exists(configuration.data_directory):
        raise NotStarted
    return database(configuration)
