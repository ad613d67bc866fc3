"""Dagster's own home: its storage lies in the same Postgres server as the costs, in a schema of its own."""

from __future__ import annotations

import importlib.util
from importlib import resources
from importlib.machinery import ModuleSpec
from pathlib import Path

import psycopg2  # type: ignore[import-untyped]
import psycopg2.extensions  # type: ignore[import-untyped]
import sqlalchemy

from openai_costs_dagster.configuration import Configuration, ConfigurationError
from openai_costs_dagster.user_input import env_variable
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.errors import DatabaseRefused

STORAGE_URL = "OPENAI_COSTS_DAGSTER_DATABASE_URL"
_SCHEMA = "openai_costs_dagster"
_SESSION = "-csynchronous_commit=off -ctimezone=UTC"
_EVENT_BATCH_SIZE = "500"  # events written together; a year in one run takes a third of the time


def home(configuration: Configuration) -> Path:
    """`DAGSTER_HOME` where it is set, else a folder of the data directory with a `dagster.yaml` written by us.

    Raises ConfigurationError where it cannot be used.
    """
    if given := env_variable("DAGSTER_HOME"):
        folder = Path(given).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigurationError(
                f"DAGSTER_HOME names {folder}, which is not a directory: make it, or unset DAGSTER_HOME"
            )
        return folder
    folder = configuration.make_folder("dagster")
    settings = resources.files("openai_costs_dagster.orchestration.runtime").joinpath("dagster.yaml").read_text("utf-8")
    file = folder / "dagster.yaml"
    if not file.exists() or file.read_text(encoding="utf-8") != settings:
        file.write_text(settings, encoding="utf-8")
    return folder


def storage_url(database: Database) -> str:
    """The address of the same database for Dagster's storage: for psycopg2, with the schema that holds its tables.

    SQLAlchemy 2.1 takes a bare ``postgresql://`` for psycopg 3, with which Dagster's statements do not work.
    Dagster stores times without a zone and takes them for UTC, whatever the zone of the role or server.
    Dagster's history may lose its last half second when the machine dies; costs are on disk when a load has ended.
    Host and port stand among the parameters, where several hosts and sockets fit too. Raises DatabaseRefused where
    psycopg2 does not know a parameter.
    """
    parameters = database.address.for_dagster()
    options = parameters.get("options", "")
    parameters["options"] = f"{options} -csearch_path={_SCHEMA} {_SESSION}".strip()
    try:
        psycopg2.extensions.make_dsn(**parameters)
    except psycopg2.ProgrammingError as error:
        reason = database.address.redacted(str(error))
        raise DatabaseRefused(
            f"{database.safe_url}: Dagster's storage connects with psycopg2, which cannot read this address: {reason}"
        ) from None
    return sqlalchemy.URL.create(
        "postgresql+psycopg2",
        username=parameters.pop("user", None),
        password=parameters.pop("password", None),
        database=parameters.pop("dbname", None),
        query=parameters,
    ).render_as_string(hide_password=False)


def prepare(database: Database) -> None:
    """Makes the costs' tables and the schema for Dagster's. Raises WarehouseError."""
    storage_url(database)  # refused here, before anything is written
    database.prepare()
    database.make_schema(_SCHEMA)


def environment(configuration: Configuration, database: Database) -> dict[str, str]:
    """What a Dagster process needs to see this configuration and its history. Holds the database's password.

    Raises ConfigurationError where Dagster cannot run.
    """
    _refuse_percent_sign(importlib.util.find_spec("dagster_postgres"))
    variables = {
        "DAGSTER_HOME": str(home(configuration)),
        "DAGSTER_EVENT_BATCH_SIZE": _EVENT_BATCH_SIZE,
        # While a code server restarts, backfills wait for it. By default Dagster fails them.
        "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1",
        STORAGE_URL: storage_url(database),
    }
    if configuration.source:
        variables["OPENAI_COSTS_CONFIG"] = str(configuration.source)
    return variables


def _refuse_percent_sign(package: ModuleSpec | None) -> None:
    """Dagster hands its own path to Alembic, which takes a "%" for the beginning of a variable."""
    if package and package.origin and "%" in package.origin:
        raise ConfigurationError(
            f"Dagster is installed in {Path(package.origin).parent}, and cannot migrate its tables in a folder "
            "with '%' in its name: move the virtual environment"
        )
