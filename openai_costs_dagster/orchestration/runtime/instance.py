"""Dagster's instance: its home directory with `dagster.yaml`, its storage in Postgres and its environment variables.

Dagster's tables are in the same database as the costs, in a schema of their own.
"""

from __future__ import annotations

import importlib.util
from importlib import resources
from importlib.machinery import ModuleSpec
from pathlib import Path

import psycopg2  # type: ignore[import-untyped]
import psycopg2.extensions  # type: ignore[import-untyped]
import sqlalchemy
import yaml

from openai_costs_dagster.configuration import Configuration, ConfigurationError
from openai_costs_dagster.report.atomic_file import atomic_write
from openai_costs_dagster.user_input import env_variable
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.errors import DatabaseRefused

STORAGE_URL = "OPENAI_COSTS_DAGSTER_DATABASE_URL"
UI_URL_VARIABLE = "OPENAI_COSTS_UI_URL"
"""The environment variable with the address of the UI that `openai-costs up` serves.

Alerts link to this address if `dagster_url` is not configured.
"""
FORK_FROM_ORGANIZATIONS = 50
"""The number of organizations from which the fork server starts the runs (docs/decisions/0022-run-launcher.md)."""

_RUNTIME = "openai_costs_dagster.orchestration.runtime"
_SCHEMA = "openai_costs_dagster"
# With asynchronous commits, a crash may lose the last events of Dagster's history. No costs are lost, because they are
# stored over another connection.
_SESSION = "-csynchronous_commit=off -ctimezone=UTC"
# The number of events that Dagster writes in one batch. With this size, a run over a year takes a third of the time.
_EVENT_BATCH_SIZE = "500"


def home(configuration: Configuration) -> Path:
    """Return the directory of Dagster's instance.

    The directory is `DAGSTER_HOME` if this variable is set. Otherwise the directory is a folder in the data directory,
    and this function writes `dagster.yaml` to the folder. Raises `ConfigurationError` if the folder cannot be used, and
    `NotWritable` if the file cannot be written.
    """
    if given := env_variable("DAGSTER_HOME"):
        folder = Path(given).expanduser().resolve()
        if not folder.is_dir():
            raise ConfigurationError(
                f"DAGSTER_HOME names {folder}, which is not a directory: create it, or unset DAGSTER_HOME"
            )
        return folder
    folder = configuration.make_folder("dagster")
    settings = resources.files(_RUNTIME).joinpath("dagster.yaml").read_text("utf-8")
    settings += yaml.safe_dump({"run_launcher": run_launcher(len(configuration.organizations))}, sort_keys=False)
    file = folder / "dagster.yaml"
    if not file.exists() or file.read_text(encoding="utf-8") != settings:
        with atomic_write(file) as draft:
            draft.write_text(settings, encoding="utf-8")
    return folder


def run_launcher(organizations: int) -> dict[str, str]:
    """Return the setting `run_launcher` of `dagster.yaml` for a number of organizations.

    Below `FORK_FROM_ORGANIZATIONS`, the setting names Dagster's default run launcher with a check for runs whose
    process has ended.
    """
    if organizations < FORK_FROM_ORGANIZATIONS:
        return {"module": f"{_RUNTIME}.run_launcher", "class": "RunLauncher"}
    return {"module": f"{_RUNTIME}.forking_run_launcher", "class": "ForkingRunLauncher"}


def describe_run_launcher(organizations: int) -> str:
    """Return a line for the output of `openai-costs up` that names the run launcher in use."""
    if env_variable("DAGSTER_HOME"):
        return "Run launcher: as configured in the dagster.yaml of DAGSTER_HOME"
    if organizations < FORK_FROM_ORGANIZATIONS:
        return f"Run launcher: Dagster's default (fewer than {FORK_FROM_ORGANIZATIONS} organizations)"
    return f"Run launcher: fork server ({FORK_FROM_ORGANIZATIONS} or more organizations)"


def storage_url(database: Database) -> str:
    """Return the database URL for Dagster's storage, which uses psycopg2 and a schema of its own.

    Raises `DatabaseRefused` if psycopg2 does not support a parameter of the URL.

    - The URL names the driver, because SQLAlchemy 2.1 uses psycopg 3 for a bare ``postgresql://``, and Dagster's
      statements do not work with psycopg 3.
    - The time zone of the session is UTC, because Dagster stores times without a zone and assumes UTC.
    - Commits are asynchronous: Dagster's history may lose the last half second if the machine crashes. Costs are
      committed synchronously, over another connection.
    - Host and port are parameters of the query, because only the query of a URL accepts several hosts and socket paths.
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
    """Create or migrate the tables of the warehouse, and create the schema for Dagster's tables.

    Raises `WarehouseError` if the database refuses a change or does not respond.
    """
    storage_url(database)  # Raises an error for an unusable URL before anything is written to the database.
    database.prepare()
    database.make_schema(_SCHEMA)


def environment(configuration: Configuration, database: Database) -> dict[str, str]:
    """Return the environment variables with which a Dagster process uses this configuration and its storage.

    The variable `STORAGE_URL` contains the password of the database. Raises `ConfigurationError` if Dagster cannot run
    with this configuration or from the directory in which it is installed.
    """
    _refuse_percent_sign(importlib.util.find_spec("dagster_postgres"))
    variables = {
        "DAGSTER_HOME": str(home(configuration)),
        "DAGSTER_EVENT_BATCH_SIZE": _EVENT_BATCH_SIZE,
        # While a code server restarts, backfills wait. By default, Dagster fails them.
        "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR": "1",
        STORAGE_URL: storage_url(database),
    }
    if configuration.source:
        variables["OPENAI_COSTS_CONFIG"] = str(configuration.source)
    return variables


def _refuse_percent_sign(package: ModuleSpec | None) -> None:
    """Raise `ConfigurationError` if the path of Dagster's package contains "%".

    Dagster passes the path to Alembic, which interprets "%" as the beginning of a variable.
    """
    if package and package.origin and "%" in package.origin:
        raise ConfigurationError(
            f"Dagster is installed in {Path(package.origin).parent} and cannot migrate its tables from a path "
            "that contains '%': move the virtual environment"
        )
