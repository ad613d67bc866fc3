"""Opens the database that a configuration names, or the embedded server in the data directory if it names none."""

from __future__ import annotations

from openai_costs_dagster.configuration import Configuration, ConfigurationError
from openai_costs_dagster.user_input import env_variable
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Database

EMBEDDED_SERVER = "OPENAI_COSTS_EMBEDDED_SERVER"
_NEVER = "never"


class EmbeddedServerNotStarted(Exception):
    """Signals that the embedded server was never started, so that no data is stored yet."""


def database(configuration: Configuration) -> Database:
    """Return the configured database, or start the embedded server and return its database.

    Raises `WarehouseError` if the database cannot be used, `SecretUnavailable` if its URL cannot be read, and
    `ConfigurationError` if the environment forbids the embedded server.
    """
    if configuration.database:
        return Database(configuration.database.url.read())
    _refuse_unless_allowed()
    return Database(embedded.start(configuration.data_directory))


def existing_database(configuration: Configuration) -> Database:
    """Return the configured database, or start the embedded server only if it was started before.

    Raises `EmbeddedServerNotStarted` if the embedded server was never started, and otherwise the errors of `database`.
    """
    if configuration.database is None:
        _refuse_unless_allowed()
        if not embedded.exists(configuration.data_directory):
            raise EmbeddedServerNotStarted
    return database(configuration)


def _refuse_unless_allowed() -> None:
    """Raise `ConfigurationError` if the environment forbids the embedded server.

    Our container images forbid the embedded server: no other container could connect to it, and its data would be lost
    with its container.
    """
    value = env_variable(EMBEDDED_SERVER)
    if value == _NEVER:
        raise ConfigurationError(
            f"no database is configured, and {EMBEDDED_SERVER}={_NEVER} refuses the embedded PostgreSQL: "
            "set database.url (without a file: DATABASE_URL) to a PostgreSQL server of your own"
        )
    if value:
        raise ConfigurationError(f"{EMBEDDED_SERVER} must be {_NEVER} or unset, not {value!r}")
