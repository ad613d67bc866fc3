"""Which database a configuration means: the user's own, or the embedded server in the data directory."""

from __future__ import annotations

from openai_costs_dagster.configuration import Configuration, ConfigurationError
from openai_costs_dagster.user_input import env_variable
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Database

EMBEDDED_SERVER = "OPENAI_COSTS_EMBEDDED_SERVER"
_NEVER = "never"


class EmbeddedServerNotStarted(Exception):
    """The embedded server was never started, so nothing is stored yet."""


def database(configuration: Configuration) -> Database:
    """The configured database; starts the embedded server.

    Raises WarehouseError or SecretUnavailable, and ConfigurationError where the embedded server is refused.
    """
    if configuration.database:
        return Database(configuration.database.url.read())
    _refuse_unless_allowed()
    return Database(embedded.start(configuration.data_directory))


def existing_database(configuration: Configuration) -> Database:
    """The same, but raises EmbeddedServerNotStarted rather than make an embedded server for the first time."""
    if configuration.database is None:
        _refuse_unless_allowed()
        if not embedded.exists(configuration.data_directory):
            raise EmbeddedServerNotStarted
    return database(configuration)


def _refuse_unless_allowed() -> None:
    """In a container an embedded server would be one nobody else sees, and would end with it."""
    said = env_variable(EMBEDDED_SERVER)
    if said == _NEVER:
        raise ConfigurationError(
            f"no database is configured, and {EMBEDDED_SERVER}={_NEVER} refuses the embedded PostgreSQL: "
            "set database.url (without a file: DATABASE_URL) to a PostgreSQL server of your own"
        )
    if said:
        raise ConfigurationError(f"{EMBEDDED_SERVER} takes {_NEVER} or nothing; found {said!r}")
