"""Opens the database of a configuration: the configured one, or the embedded server in the data directory."""

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
    """Return the configured database, or start the embedded server and return its database.

    Raises `WarehouseError` or `SecretUnavailable`, and `ConfigurationError` if the embedded server is not allowed.
    """
    if configuration.database:
        return Database(configuration.database.url.read())
    _refuse_unless_allowed()
    return Database(embedded.start(configuration.data_directory))


def existing_database(configuration: Configuration) -> Database:
    """Return the database without creating an embedded server.

    Raises `EmbeddedServerNotStarted` if the embedded server was never started, and otherwise the errors of `database`.
    """
    if configuration.database is None:
        _refuse_unless_allowed()
        if not embedded.exists(configuration.data_directory):
            raise EmbeddedServerNotStarted
    return database(configuration)


def _refuse_unless_allowed() -> None:
    """Raise `ConfigurationError` if the environment forbids the embedded server.

    Containers forbid it, because no other container could use the server and its data would end with the container.
    """
    value = env_variable(EMBEDDED_SERVER)
    if value == _NEVER:
        raise ConfigurationError(
            f"no database is configured, and {EMBEDDED_SERVER}={_NEVER} refuses the embedded PostgreSQL: "
            "set database.url (without a file: DATABASE_URL) to a PostgreSQL server of your own"
        )
    if value:
        raise ConfigurationError(f"{EMBEDDED_SERVER} must be {_NEVER} or unset, not {value!r}")
