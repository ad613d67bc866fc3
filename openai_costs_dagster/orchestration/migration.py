"""Brings all that lies in the database up to this release: our schema, Dagster's tables, and what the roles may do."""

from __future__ import annotations

import os

import dagster as dg

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.orchestration import instance
from openai_costs_dagster.warehouse.database import Database


def migrate(configuration: Configuration, database: Database) -> None:
    """Makes or migrates everything; a Dagster home of the user's own is left alone. Raises a WarehouseError."""
    instance.prepare(database)
    if "DAGSTER_HOME" in os.environ:
        return
    os.environ.update(instance.environment(configuration, database))  # Dagster reads its instance from there alone
    with dg.DagsterInstance.get() as dagster:  # it makes its tables when it is opened
        dagster.upgrade()
    database.grant()
